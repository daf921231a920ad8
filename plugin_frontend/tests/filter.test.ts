import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AROUND, FOUND, HIDDEN, keptOf, matchWords, openAround, queryOf, searchable } from '../src/filter.ts';
import { buildTree, visibleNodes } from '../src/model.ts';
import { ancestorsOf } from '../src/rows.ts';
import { nodesFrom } from './support/meta.ts';
import { modelOf } from './support/models.ts';

const block = (i: number) => [
  `blocks.${i}.attn.qkv.weight`,
  `blocks.${i}.attn.qkv.bias`,
  `blocks.${i}.mlp.fc.weight`,
];
const model = modelOf(
  [...Array.from({ length: 20 }, (_, i) => block(i)).flat(), 'head.weight'].map((name) => ({ name })),
);

describe('a text', () => {
  it('is words in any case that must all occur', () => {
    expect(queryOf('  ATTN  Bias ')).toEqual({ kind: 'words', words: ['attn', 'bias'] });
    expect(
      Array.from(matchWords(searchable(['a.Attn.bias', 'attn.weight', 'bias']), ['attn', 'bias'])),
    ).toEqual([1, 0, 0]);
    expect(queryOf('   ')).toEqual({ kind: 'none' });
  });

  it('is a regular expression behind a slash, also before its end is typed', () => {
    expect(queryOf('/')).toEqual({ kind: 'none' });
    expect(queryOf('/a.b')).toEqual({ kind: 'regex', source: 'a.b', flags: '' });
    expect(queryOf('/a/gi')).toEqual({ kind: 'regex', source: 'a', flags: 'i' });
    expect(queryOf('/a\\/[/]b/s')).toEqual({ kind: 'regex', source: 'a\\/[/]b', flags: 's' });
  });

  it('that is no regular expression says why', () => {
    const why = (text: string) => {
      const query = queryOf(text);
      return query.kind === 'invalid' ? query.why : null;
    };
    expect(why('/(a/')).toMatch(/unterminated group/i);
    expect(why('/a/zz')).toMatch(/flag/i);
    expect(why('/a/b/')).toMatch(/before a slash/);
    expect(why('/a\\')).toMatch(/\\ at end/);
  });

  it('is taken as words, as a valid expression or as a problem, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `/${text}`),
        ),
        (text) => {
          const query = queryOf(text);
          expect(query.kind === 'words').toBe(!text.startsWith('/') && text.trim() !== '');
          if (query.kind === 'regex') expect(() => new RegExp(query.source, query.flags)).not.toThrow();
        },
      ),
    );
  });
});

describe('what is left', () => {
  const trees = fc.array(fc.nat(), { minLength: 1, maxLength: 60 }).map((picks) => {
    const parents = picks.map((pick, i) => pick % (i + 1)).sort((a, b) => a - b);
    return buildTree(nodesFrom(['', ...parents.map((_, i) => `n${i + 1}`)], [-1, ...parents]));
  });

  it('are matches with all that is inside, and their ancestors; all uppermost matches are rows', () => {
    fc.assert(
      fc.property(trees, fc.array(fc.nat(60)), (tree, picks) => {
        const matched = new Uint8Array(tree.size);
        for (const pick of picks) matched[pick % tree.size] = 1;
        matched[0] = 0;
        const kept = keptOf(tree, matched);
        const within = (node: number) => [...ancestorsOf(tree, node), node].some((one) => matched[one] === 1);
        const rows = new Set(visibleNodes(tree, openAround(tree, kept)));
        for (let node = 1; node < tree.size; node++) {
          const above = Array.from(tree.keys.keys()).some(
            (one) => matched[one] === 1 && ancestorsOf(tree, one).includes(node),
          );
          expect(kept[node]).toBe(within(node) ? FOUND : above ? AROUND : HIDDEN);
          if (matched[node] === 1 && !within(tree.parents[node] ?? 0)) expect(rows.has(node)).toBe(true);
        }
      }),
    );
  });

  it('is folded at the uppermost matches, and unfolded where it is a handful of rows', () => {
    const tree = buildTree(model.nodes);
    const shown = (word: string) => {
      const kept = keptOf(tree, matchWords(searchable(tree.names), [word]));
      return Array.from(visibleNodes(tree, openAround(tree, kept)), (node) => tree.names[node] ?? '').filter(
        (name) => kept[tree.names.indexOf(name)] === FOUND,
      );
    };
    expect(shown('attn')).toEqual(Array.from({ length: 20 }, (_, i) => `blocks.${i}.attn`));
    expect(shown('blocks.7')).toEqual([
      'blocks.7',
      'blocks.7.attn',
      'blocks.7.attn.qkv',
      'blocks.7.attn.qkv.weight',
      'blocks.7.attn.qkv.bias',
      'blocks.7.mlp',
      'blocks.7.mlp.fc',
      'blocks.7.mlp.fc.weight',
    ]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Tree, buildTree, openAll, openFirstLook, openTop } from '../src/model.ts';
import {
  foldsOf,
  foldsText,
  listOf,
  nodeIn,
  nodeText,
  numbers,
  oneOf,
  partsOf,
  placeText,
  sameParts,
  stepWindow,
  truth,
  withParts,
  words,
} from '../src/url_state.ts';
import { nodesFrom } from './support/meta.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });
const keys = fc.stringMatching(/^[a-z]{1,12}$/u).filter((key) => key !== 'v');
const parts = fc.dictionary(keys, anyText, { maxKeys: 8 }).map((entries) => new Map(Object.entries(entries)));

/** What TensorBoard does to a fragment when another tab is chosen: its tf_storage, as its sources have it. */
function throughTensorBoard(hash: string, tab: string): string {
  const items = new Map<string, string>();
  for (const token of hash.slice(1).split('&')) {
    const [name = '', value, ...rest] = token.split('=');
    if (value !== undefined && rest.length === 0)
      items.set(decodeURIComponent(name), decodeURIComponent(value));
  }
  const others = [...items].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  return '#' + [tab, ...others].join('&');
}

describe('a fragment', () => {
  it('gives back what was put into it, also after TensorBoard has written it anew for another tab', () => {
    fc.assert(
      fc.property(parts, (written) => {
        const hash = withParts('#gradhealth', written);
        expect(sameParts(written, partsOf(hash))).toBe(true);
        const back = throughTensorBoard(throughTensorBoard(hash, 'scalars'), 'gradhealth');
        expect(sameParts(written, partsOf(back))).toBe(true);
        expect(withParts(back, written)).toBe(hash);
      }),
    );
  });

  it('keeps what is not ours as it is, in its place', () => {
    const hash = '#timeseries&p.other.x=%41%2&tagFilter=loss&p.gradhealth.old=1';
    expect(withParts(hash, new Map([['metric', 'norm']]))).toBe(
      '#timeseries&p.other.x=%41%2&tagFilter=loss&p.gradhealth.v=1&p.gradhealth.metric=norm',
    );
    expect(withParts(hash, new Map())).toBe('#timeseries&p.other.x=%41%2&tagFilter=loss');
  });

  it('is read as far as it makes sense', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (hash) => {
        expect(partsOf(hash).size).toBe(0);
      }),
    );
    const read = (tokens: string) => Object.fromEntries(partsOf(`#gradhealth&p.gradhealth.v=1&${tokens}`));
    expect(
      read('p.gradhealth.a=%&p.gradhealth.b=1=2&p.gradhealth.c&p.gradhealth.__proto__=x&p.x.d=1'),
    ).toEqual(Object.fromEntries([['__proto__', 'x']]));
    expect(read(`p.gradhealth.a=${'x'.repeat(70_000)}`)).toEqual({});
    expect(partsOf('#gradhealth&p.gradhealth.metric=norm').size).toBe(0);
    expect(partsOf('#gradhealth&p.gradhealth.v=2&p.gradhealth.metric=norm').size).toBe(0);
  });
});

describe('values', () => {
  it('come back from their text', () => {
    const plain = anyText.map((text) => text.replaceAll(/\p{Surrogate}/gu, ''));
    fc.assert(
      fc.property(
        fc.array(plain, { maxLength: 9 }),
        fc.boolean(),
        fc.array(fc.double({ noDefaultInfinity: true, noNaN: true }), { minLength: 3, maxLength: 3 }),
        (texts, flag, figures) => {
          const list = listOf(words(60), 9);
          expect(list.decode(list.encode(texts))).toEqual(texts);
          expect(truth.decode(truth.encode(flag))).toBe(flag);
          const same = figures.map((figure) => figure + 0);
          expect(numbers(3).decode(numbers(3).encode(same))).toEqual(same);
        },
      ),
    );
  });

  it('are bounded, and null where the text is none of theirs', () => {
    expect(words(3).decode('abcd')).toBeNull();
    expect(words(3).encode('abcd')).toBe('abc');
    expect(oneOf('log', 'linear').decode('constructor')).toBeNull();
    expect(truth.decode('yes')).toBeNull();
    for (const text of ['', '1', '1_2_3', '1_', 'NaN_1', '0x10_20', '1e999_2', ' 1_2', 'Infinity_1'])
      expect(numbers(2).decode(text)).toBeNull();
    for (const text of ['a', '!', 'a~b', 'a~!b~', '~'.repeat(4)])
      expect(listOf(words(9), 3).decode(text)).toBeNull();
    for (const text of ['5_5', '6_5', '0_1e17', '-1e300_0', '1', ''])
      expect(stepWindow.decode(text)).toBeNull();
  });

  it('of a window are as exact as a screen can show', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.double({ min: 0.001, max: 1e9, noNaN: true }), (start, span) => {
        const window = { start: start + 1 / 3, end: start + 1 / 3 + span };
        fc.pre(window.end > window.start);
        const read = stepWindow.decode(stepWindow.encode(window));
        const width = window.end - window.start;
        expect(Math.abs((read?.start ?? NaN) - window.start)).toBeLessThanOrEqual(1e-5 * width);
        expect(Math.abs((read?.end ?? NaN) - window.end)).toBeLessThanOrEqual(1e-5 * width);
        // Written again it is the same, or the URL would never come to rest.
        expect(read === null ? '' : stepWindow.encode(read)).toBe(stepWindow.encode(window));
      }),
    );
    expect(stepWindow.encode({ start: 100, end: 200 })).toBe('100_200');
  });
});

describe('nodes', () => {
  const long = [
    `tensor:${'x'.repeat(5_000)}`,
    `tensor:${'x'.repeat(4_999)}y`,
    'tensor:\ud800',
    'tensor:\udc00',
  ];
  const known = ['total:', 'module:a.b', 'tensor:a-b:c', 'tensor:', ...long];

  it('are named in full, and abbreviated only where they are too long or no text', () => {
    expect(known.map((key) => nodeText(key)).slice(0, 4)).toEqual([
      'total-',
      'module-a.b',
      'tensor-a-b:c',
      'tensor-',
    ]);
    for (const key of known) {
      const text = nodeText(key);
      expect(text.length).toBeLessThan(220);
      const sent = partsOf(withParts('', new Map([['n', text]]))).get('n') ?? '';
      expect(nodeIn(sent, known)).toBe(key);
    }
    expect(nodeIn('tensor-gone', known)).toBeNull();
  });

  it('with a step are a place', () => {
    for (const key of known)
      for (const step of [0, -7, 123_456_789])
        expect(placeText.decode(placeText.encode({ key, step }), known)).toEqual({ key, step });
    for (const text of ['', '5', 'x.total-', '5.tensor-gone', '99999999999999999.total-', '1.5.total-'])
      expect(placeText.decode(text, known)).toBeNull();
  });
});

describe('folds', () => {
  const trees: fc.Arbitrary<Tree> = fc.array(fc.nat(), { minLength: 1, maxLength: 150 }).map((seeds) =>
    buildTree(
      nodesFrom(
        seeds.map((_, i) => `n~!${i}`),
        seeds.map((seed, i) => (i === 0 ? -1 : seed % i)),
      ),
    ),
  );

  it('come back from a base and the few nodes that differ', () => {
    fc.assert(
      fc.property(
        trees,
        fc.constantFrom(openAll, openFirstLook, openTop),
        fc.array(fc.nat()),
        (tree, base, flips) => {
          const open = new Set(base(tree));
          for (const flip of flips.slice(0, 40)) {
            const key = tree.keys[flip % tree.size] ?? '';
            if (!open.delete(key)) open.add(key);
          }
          const text = foldsText(tree, open);
          const read = text === null ? openFirstLook(tree) : foldsOf(text, tree);
          expect(new Set(read)).toEqual(open);
        },
      ),
    );
  });

  it('take little room in any tree, and no nonsense', () => {
    const tree = buildTree(
      nodesFrom(
        Array.from({ length: 5_000 }, (_, i) => `m${i}`),
        [-1, ...Array.from({ length: 4_999 }, () => 0)],
      ),
    );
    expect(foldsText(tree, openFirstLook(tree))).toBeNull();
    expect(foldsText(tree, openAll(tree))).toBeNull();
    const odd = new Set(tree.keys.filter((_, i) => i % 2 === 0));
    expect(foldsText(tree, odd)?.split('~').length).toBeLessThan(50);
    expect(foldsOf('', tree)).toBeNull();
    expect(foldsOf('constructor~', tree)).toBeNull();
    expect(foldsOf('top~tensor-gone~.module-gone~', tree)).toEqual(new Set(['total:m0']));
  });
});

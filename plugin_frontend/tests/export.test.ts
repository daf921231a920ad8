import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileNameOf } from '../src/export/file_names.ts';
import { printable } from '../src/export/picture_file.ts';
import { exportCommand, quoted } from '../src/export/shell.ts';
import { commandOf, rowsTold, viewOf } from '../src/export/view.ts';
import { metaOf, nodesFrom } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE = [
  "'",
  "''",
  '"$(touch pwned)"',
  '`id`',
  '$HOME',
  '\\',
  '-rf',
  'a\nb',
  '‮evil',
  '*',
  '~',
  '!1',
  '',
  '#x',
];

/** What a shell makes of some words. */
function read(words: string): string[] {
  return execFileSync('sh', ['-c', `printf '%s\\0' ${words}`])
    .toString('utf8')
    .split('\0')
    .slice(0, -1);
}

describe('a quoted word', () => {
  it('is read back by a shell as it was, whatever is in it', () => {
    const unit = fc.oneof(
      fc.constantFrom("'", '"', '\\', '$', '`', '!', ' ', '\n', '*', '-', '#'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    );
    const name = fc.array(unit).map((parts) => parts.join('').replaceAll('\0', ''));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 40 }), (names) => {
        const all = [...names, ...HOSTILE];
        expect(read(all.map(quoted).join(' '))).toEqual(all);
      }),
      { numRuns: 30 },
    );
  });

  it('is left as it is where it needs no quotes', () => {
    expect(quoted('blocks.0.attn/qkv_weight-1')).toBe('blocks.0.attn/qkv_weight-1');
  });
});

describe('the command', () => {
  const wanted = { run: 'exp 1/gradhealth', stream: 'gradients', metric: 'norm', steps: [10, 200] as const };

  it('names run, rows and steps in the words of `gradhealth export`', () => {
    const command = exportCommand({ ...wanted, nodes: ['', "it's", 'a.b'] });
    const words = read(command.replace('"$LOGDIR"', 'LOG'));
    expect(words).toEqual([
      'gradhealth',
      'export',
      'LOG/exp 1/gradhealth',
      '--stream=gradients',
      '--metric=norm',
      '--nodes=',
      "--nodes=it's",
      '--nodes=a.b',
      '--steps=10:200',
      '--format=csv',
    ]);
  });

  it('takes all nodes where naming them would be too long', () => {
    const many = Array.from({ length: 1_000 }, (_, i) => `n${i}`);
    expect(exportCommand({ ...wanted, nodes: many })).not.toContain('--nodes');
    expect(exportCommand({ ...wanted, nodes: null })).not.toContain('--nodes');
  });
});

describe('the rows of a table', () => {
  function pageOf(tensors: number) {
    const names = Array.from({ length: tensors }, (_, i) => `t${i}`);
    const store = storeOf(metaOf({ nodes: nodesFrom(['', ...names], [-1, ...names.map(() => 0)]) }), {
      heightDevicePx: 180,
    });
    return store;
  }

  it('come in the order shown, also where they are all there are', () => {
    const store = pageOf(5);
    const tree = store.tree.value;
    if (tree === null) throw new Error('expected a tree');
    store.order.value = { by: 'worst' };
    store.outline.ranks.value = { tree, values: [], places: Int32Array.of(0, 5, 4, 3, 2, 1) };
    const view = viewOf(store);
    expect(view?.nodes).toEqual([0, 5, 4, 3, 2, 1]);
    if (view === null) return;
    expect(rowsTold(view)).toBe('all rows');
    expect(commandOf(store, view).nodes).toBeNull();
    store.setOpen(new Set());
    const folded = viewOf(store);
    expect([folded?.nodes, folded === null ? '' : rowsTold(folded)]).toEqual([[0], 'the 1 row shown']);
  });

  it('are all, by level, where they are too many to name: then that is said', () => {
    const view = viewOf(pageOf(9_000));
    expect([view?.nodes, view?.isAll]).toEqual([null, true]);
    expect(view === null ? '' : rowsTold(view)).toContain('level by level');
  });
});

describe('a file name', () => {
  it('has neither folders nor anything that a file system objects to, and is not too long', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { maxLength: 5 }), (parts) => {
        expect(fileNameOf(parts, 'png')).toMatch(/^[A-Za-z0-9-][A-Za-z0-9._-]*\.png$/u);
        expect(fileNameOf(parts, 'png').length).toBeLessThan(320);
      }),
    );
    expect(fileNameOf(['../exp 1', 'norm'], 'csv')).toBe('exp_1-norm.csv');
    expect(fileNameOf(['‮', '<>'], 'csv')).toBe('gradhealth.csv');
  });
});

describe('a name in a picture', () => {
  it('has no control characters and no marks of direction', () => {
    expect(printable('a\n\tb\u0000c‮d​e')).toBe('a b c d e');
    expect(printable('x'.repeat(5_000)).length).toBeLessThan(1_000);
  });
});

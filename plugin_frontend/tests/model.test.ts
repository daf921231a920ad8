import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Nodes } from '../src/contract.ts';
import {
  buildTree,
  childrenOf,
  depthOf,
  hasChildren,
  openAll,
  openFirstLook,
  openTop,
  parentOf,
  sameNodes,
  shortName,
  visibleNodes,
  withFolded,
  withUnfolded,
} from '../src/model.ts';
import { nodesFrom } from './support/meta.ts';

/** Trees of any shape, breadth first as the contract promises. */
const trees: fc.Arbitrary<Nodes> = fc.array(fc.nat(), { maxLength: 120 }).map((picks) => {
  const parents = picks.map((pick, i) => pick % (i + 1)).sort((a, b) => a - b);
  return nodesFrom(['', ...parents.map((_, i) => `n${i + 1}`)], [-1, ...parents]);
});

describe('the tree', () => {
  it('lists all nodes once when unfolded, each after its parent and before its next sibling', () => {
    fc.assert(
      fc.property(trees, (nodes) => {
        const tree = buildTree(nodes);
        const rows = Array.from(visibleNodes(tree, openAll(tree)));
        expect(rows.toSorted((a, b) => a - b)).toEqual(nodes.name.map((_, i) => i));
        for (const [row, node] of rows.entries()) {
          if (node > 0) expect(rows.indexOf(parentOf(tree, node))).toBeLessThan(row);
          const places = Array.from(childrenOf(tree, node), (child) => rows.indexOf(child));
          expect(places).toEqual(places.toSorted((a, b) => a - b));
          expect(Array.from(childrenOf(tree, node), (child) => tree.places[child])).toEqual(
            places.map((_, i) => i),
          );
        }
      }),
    );
  });

  it('shows a node exactly when all its ancestors are open', () => {
    fc.assert(
      fc.property(trees, fc.array(fc.nat(119)), (nodes, picks) => {
        const tree = buildTree(nodes);
        const open = new Set(picks.map((pick) => tree.keys[pick] ?? ''));
        const rows = new Set(visibleNodes(tree, open));
        for (let node = 1; node < tree.size; node++) {
          const parent = parentOf(tree, node);
          expect(rows.has(node)).toBe(rows.has(parent) && open.has(tree.keys[parent] ?? ''));
        }
      }),
    );
  });

  it('folds and unfolds back to the same rows', () => {
    fc.assert(
      fc.property(trees, fc.nat(119), (nodes, pick) => {
        const tree = buildTree(nodes);
        const key = tree.keys[pick % tree.size] ?? '';
        const all = openAll(tree);
        const folded = visibleNodes(tree, withFolded(all, [key]));
        expect(folded.length <= tree.size).toBe(true);
        expect(visibleNodes(tree, withUnfolded(withFolded(all, [key]), [key]))).toEqual(
          visibleNodes(tree, all),
        );
      }),
    );
  });

  it('survives parents that do not stand before their children', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5, max: 50 }), { minLength: 1, maxLength: 40 }), (parents) => {
        const tree = buildTree(
          nodesFrom(
            parents.map((_, i) => `n${i}`),
            parents,
          ),
        );
        expect(visibleNodes(tree, openAll(tree)).length).toBe(parents.length);
      }),
    );
  });

  it('takes a chain of 20,000 modules', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `n${i}`);
    const tree = buildTree(
      nodesFrom(
        names,
        names.map((_, i) => i - 1),
      ),
    );
    expect(visibleNodes(tree, openAll(tree)).length).toBe(20_000);
    expect(depthOf(tree, 19_999)).toBe(19_999);
  });

  it('is not there for a run without nodes', () => {
    const tree = buildTree(nodesFrom([], []));
    expect(visibleNodes(tree, openFirstLook(tree)).length).toBe(0);
  });
});

describe('the first look', () => {
  it('unfolds a small model entirely', () => {
    const tree = buildTree(nodesFrom(['', 'a', 'b', 'a.w', 'b.w'], [-1, 0, 0, 1, 2]));
    expect(openFirstLook(tree)).toEqual(openAll(tree));
  });

  it('shows the stream and its top modules at least, and stays short where it can', () => {
    fc.assert(
      fc.property(trees, (nodes) => {
        const tree = buildTree(nodes);
        const rows = visibleNodes(tree, openFirstLook(tree)).length;
        const top = visibleNodes(tree, openTop(tree)).length;
        expect(rows).toBeGreaterThanOrEqual(top);
        expect(rows).toBeLessThanOrEqual(Math.max(40, top));
        if (tree.size <= 40) expect(rows).toBe(tree.size);
      }),
    );
  });
});

describe('names', () => {
  it('leave out what the row above says already', () => {
    const nodes = nodesFrom(
      ['', 'blocks', 'blocks.0.attn', 'blocks.0.attn.weight', 'other'],
      [-1, 0, 1, 2, 1],
    );
    const tree = buildTree(nodes);
    expect([0, 1, 2, 3, 4].map((node) => shortName(tree, node))).toEqual([
      'All tensors',
      'blocks',
      '0.attn',
      'weight',
      'other',
    ]);
  });
});

describe('two trees', () => {
  it('are the same only with the same nodes at the same places', () => {
    const tree = buildTree(nodesFrom(['', 'a', 'b'], [-1, 0, 0]));
    expect(sameNodes(tree, buildTree(nodesFrom(['', 'a', 'b'], [-1, 0, 0])))).toBe(true);
    expect(sameNodes(tree, buildTree(nodesFrom(['', 'b', 'a'], [-1, 0, 0])))).toBe(false);
    expect(sameNodes(tree, buildTree(nodesFrom(['', 'a', 'b'], [-1, 0, 1])))).toBe(false);
    expect(hasChildren(tree, 0)).toBe(true);
  });
});

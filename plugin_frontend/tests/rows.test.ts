import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptOf } from '../src/filter.ts';
import {
  buildTree,
  childrenOf,
  depthOf,
  hasChildren,
  openAll,
  openTop,
  parentOf,
  visibleNodes,
} from '../src/model.ts';
import { modelPlaces, orderedChildren, ranksOf } from '../src/ordering.ts';
import { ancestorsOf, branchOf, flatRows, levelsOf, openLevels, treeRows } from '../src/rows.ts';
import { nodesFrom } from './support/meta.ts';

const trees = fc.array(fc.nat(), { minLength: 1, maxLength: 60 }).map((picks) => {
  const parents = picks.map((pick, i) => pick % (i + 1)).sort((a, b) => a - b);
  return buildTree(nodesFrom(['', ...parents.map((_, i) => `n${i + 1}`)], [-1, ...parents]));
});
const figures = fc.array(
  fc.oneof(
    fc.double(),
    fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0),
  ),
  { minLength: 61, maxLength: 61 },
);

describe('rows', () => {
  it('without filter, order and root are those of the folds', () => {
    fc.assert(
      fc.property(trees, fc.array(fc.nat(60)), (tree, picks) => {
        const open = new Set(picks.map((pick) => tree.keys[pick] ?? ''));
        expect(treeRows(tree, 0, null, open, tree.children).nodes).toEqual(visibleNodes(tree, open));
      }),
    );
  });

  it('tell each place and number among the siblings that are shown, under any filter, order and root', () => {
    fc.assert(
      fc.property(trees, figures, fc.array(fc.nat(60)), fc.nat(60), (tree, values, picks, pick) => {
        const matched = new Uint8Array(tree.size);
        for (const one of picks) matched[one % tree.size] = 1;
        const kept = picks.length === 0 ? null : keptOf(tree, matched);
        const { places } = ranksOf(tree, values.slice(0, tree.size), { descending: true, sizes: false });
        const root = pick % tree.size;
        const rows = treeRows(tree, root, kept, openAll(tree), orderedChildren(tree, places));
        const shown = Array.from(rows.nodes);
        const expected = Array.from({ length: tree.size }, (_, node) => node).filter(
          (node) => node === root || (ancestorsOf(tree, node).includes(root) && kept?.[node] !== 0),
        );
        expect(shown.toSorted((a, b) => a - b)).toEqual(expected);
        for (const [row, node] of shown.entries()) {
          if (row === 0) continue;
          const siblings = shown.filter(
            (one) => one !== root && parentOf(tree, one) === parentOf(tree, node),
          );
          expect([rows.places[row], rows.setSizes[row]]).toEqual([siblings.indexOf(node), siblings.length]);
          expect(shown.indexOf(parentOf(tree, node))).toBeLessThan(row);
          expect(siblings).toEqual(siblings.toSorted((a, b) => (places[a] ?? 0) - (places[b] ?? 0)));
        }
      }),
    );
  });

  it('of a flat list are the tensors of the root, by their places, whatever is folded', () => {
    fc.assert(
      fc.property(trees, fc.nat(60), (tree, pick) => {
        const root = pick % tree.size;
        const places = modelPlaces(tree).map((place) => tree.size - place);
        const rows = flatRows(tree, root, null, places);
        const tensors = Array.from(visibleNodes(tree, openAll(tree))).filter(
          (node) => tree.kinds[node] === 'tensor' && [...ancestorsOf(tree, node), node].includes(root),
        );
        expect(Array.from(rows.nodes)).toEqual(tensors.toReversed());
        expect(Array.from(rows.places)).toEqual(tensors.map((_, i) => i));
        expect(new Set(rows.setSizes)).toEqual(new Set(tensors.map(() => tensors.length)));
      }),
    );
  });
});

describe('levels', () => {
  it('unfold a branch so far and no further, and leave the others as they are', () => {
    fc.assert(
      fc.property(trees, fc.nat(60), fc.nat(6), (tree, pick, levels) => {
        const root = pick % tree.size;
        const before = openTop(tree);
        const open = openLevels(tree, before, root, levels);
        const rows = treeRows(tree, root, null, open, tree.children);
        const inside = treeRows(tree, root, null, openAll(tree), tree.children);
        const near = (node: number) => depthOf(tree, node) - depthOf(tree, root) <= levels;
        expect(rows.nodes).toEqual(inside.nodes.filter(near));
        const told = levelsOf(tree, rows, open);
        const deepest = Math.max(
          ...Array.from(inside.nodes, (node) => depthOf(tree, node) - depthOf(tree, root)),
        );
        expect(told).toEqual({
          whole: Math.min(levels, deepest),
          shown: Math.min(levels, deepest),
          all: deepest,
        });
        for (let node = 0; node < tree.size; node++)
          if (hasChildren(tree, node) && !branchOf(tree, root).includes(tree.keys[node] ?? ''))
            expect(open.has(tree.keys[node] ?? '')).toBe(before.has(tree.keys[node] ?? ''));
      }),
    );
  });
});

describe('ranks', () => {
  it('put NaN and Inf first and no data last, and order the rest by value, equals as in the model', () => {
    fc.assert(
      fc.property(trees, figures, fc.boolean(), fc.boolean(), (tree, values, descending, sizes) => {
        const { places } = ranksOf(tree, values.slice(0, tree.size), { descending, sizes });
        const order = Array.from(places.keys()).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
        const group = (node: number) => {
          const value = values[node] ?? null;
          return value === null ? 2 : Number.isFinite(value) ? 1 : 0;
        };
        const size = (node: number) => (sizes ? Math.abs(values[node] ?? 0) : (values[node] ?? 0));
        const inModel = modelPlaces(tree);
        for (const [i, node] of order.entries()) {
          const next = order[i + 1];
          if (next === undefined) continue;
          expect(group(node)).toBeLessThanOrEqual(group(next));
          if (group(node) !== group(next)) continue;
          const equal = group(node) !== 1 || size(node) === size(next);
          if (equal) expect(inModel[node]).toBeLessThan(inModel[next] ?? 0);
          else expect(size(node) > size(next)).toBe(descending);
        }
      }),
    );
  });

  it('know of NaN and Inf elements apart from the values, the most of them first', () => {
    const tree = buildTree(nodesFrom(['', 'a', 'b', 'c', 'd'], [-1, 0, 0, 0, 0]));
    const values = [9, 5, 1, null, 7];
    const bad = [3, 0, 1, 2, 0];
    const order = (descending: boolean) => {
      const { places } = ranksOf(tree, values, { bad, descending, sizes: false });
      return Array.from(places.keys()).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
    };
    expect(order(true)).toEqual([0, 3, 2, 4, 1]);
    expect(order(false)).toEqual([0, 3, 2, 1, 4]);
  });

  it('order children within their parents alone', () => {
    const tree = buildTree(nodesFrom(['', 'a', 'b', 'a.x', 'a.y', 'b.z'], [-1, 0, 0, 1, 1, 2]));
    const { places } = ranksOf(tree, [0, 1, 2, 3, 9, 5], { descending: true, sizes: false });
    const children = orderedChildren(tree, places);
    const of = (node: number) => Array.from(childrenOf({ ...tree, children }, node));
    expect([of(0), of(1), of(2)]).toEqual([[2, 1], [4, 3], [5]]);
  });
});

import { HIDDEN } from './filter.ts';
import { type Open, type Tree, depthOf, hasChildren, parentOf } from './model.ts';

/** The rows from the top; places and sizes are among the siblings that are shown, as a screen reader tells them. */
export interface Rows {
  readonly nodes: Int32Array;
  /** Place among the siblings, from 0, `[row]`. */
  readonly places: Int32Array;
  readonly setSizes: Int32Array;
  /** The node that they all are in. */
  readonly root: number;
  /** Tensors alone. */
  readonly flat: boolean;
}

/** The root and, depth first, what is in open modules and kept by the filter, in the order of `children`. */
export function treeRows(
  tree: Tree,
  root: number,
  kept: Uint8Array | null,
  open: Open,
  children: Int32Array,
): Rows {
  const [nodes, places, setSizes] = [columnOf(tree), columnOf(tree), columnOf(tree)];
  const [placeOf, sizeOf] = [columnOf(tree), columnOf(tree)];
  const pending = columnOf(tree);
  let [count, waiting] = [0, 1];
  [pending[0], sizeOf[root]] = [root, 1];
  while (waiting > 0) {
    const node = pending[--waiting] ?? 0;
    [nodes[count], places[count], setSizes[count]] = [node, placeOf[node] ?? 0, sizeOf[node] ?? 0];
    count++;
    const [first, end] = [tree.firstChild[node] ?? 0, tree.firstChild[node + 1] ?? 0];
    if (first === end || !open.has(tree.keys[node] ?? '')) continue;
    const base = waiting;
    for (let i = end - 1; i >= first; i--) {
      const child = children[i] ?? 0;
      if (kept?.[child] !== HIDDEN) pending[waiting++] = child;
    }
    for (let i = base; i < waiting; i++) {
      const child = pending[i] ?? 0;
      [placeOf[child], sizeOf[child]] = [waiting - 1 - i, waiting - base];
    }
  }
  const cut = (column: Int32Array) => column.subarray(0, count);
  return { nodes: cut(nodes), places: cut(places), setSizes: cut(setSizes), root, flat: false };
}

/** The tensors that are in the root and kept by the filter, by their places, whatever is folded. */
export function flatRows(tree: Tree, root: number, kept: Uint8Array | null, places: Int32Array): Rows {
  const inside = isInside(tree, root);
  const nodes = columnOf(tree)
    .map((_, node) => node)
    .filter((node) => tree.kinds[node] === 'tensor' && inside[node] === 1 && kept?.[node] !== HIDDEN)
    .sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0));
  return {
    nodes,
    places: nodes.map((_, row) => row),
    setSizes: nodes.map(() => nodes.length),
    root,
    flat: true,
  };
}

function columnOf(tree: Tree): Int32Array {
  return new Int32Array(tree.size);
}

/** The root and what is in it, one byte each. */
export function isInside(tree: Tree, root: number): Uint8Array {
  const inside = new Uint8Array(tree.size);
  if (root === 0) return inside.fill(1);
  inside[root] = 1;
  for (let node = root + 1; node < tree.size; node++) inside[node] = inside[parentOf(tree, node)] ?? 0;
  return inside;
}

/** From the top node down to the parent. */
export function ancestorsOf(tree: Tree, node: number): number[] {
  const ancestors: number[] = [];
  for (let at = parentOf(tree, node); at >= 0; at = parentOf(tree, at)) ancestors.push(at);
  return ancestors.reverse();
}

/** Keys of a node and of all modules in it. */
export function branchOf(tree: Tree, node: number): string[] {
  const inside = isInside(tree, node);
  return tree.keys.filter((_, i) => inside[i] === 1 && hasChildren(tree, i));
}

/** `open` with the root unfolded by a number of levels, and nothing more inside it; 0 folds the root itself. */
export function openLevels(tree: Tree, open: Open, root: number, levels: number): Open {
  const inside = isInside(tree, root);
  const end = depthOf(tree, root) + levels;
  return new Set(
    tree.keys.filter(
      (key, i) => hasChildren(tree, i) && (inside[i] === 1 ? depthOf(tree, i) < end : open.has(key)),
    ),
  );
}

/** How far a branch is unfolded: levels that are open throughout, levels with any row, and levels in all. */
export function levelsOf(tree: Tree, rows: Rows, open: Open): { whole: number; shown: number; all: number } {
  const base = depthOf(tree, rows.root);
  let [whole, shown, all] = [Number.POSITIVE_INFINITY, 0, 0];
  for (const node of rows.nodes) {
    const level = depthOf(tree, node) - base;
    shown = Math.max(shown, level);
    if (hasChildren(tree, node) && !open.has(tree.keys[node] ?? '')) whole = Math.min(whole, level);
  }
  const inside = isInside(tree, rows.root);
  for (let node = rows.root; node < tree.size; node++)
    if (inside[node] === 1) all = Math.max(all, depthOf(tree, node) - base);
  return { whole: Math.min(whole, all), shown, all };
}

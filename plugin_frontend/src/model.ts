import type { Nodes } from './contract.ts';

/** Rows that an unfolded small model, or the first look at a large one, may take. */
const FIRST_LOOK_ROWS = 40;

export type NodeKind = Nodes['kind'][number];

/** The module tree; everything is indexed by node, in the backend's order (a parent stands before its children). */
export interface Tree {
  readonly size: number;
  readonly names: readonly string[];
  readonly kinds: readonly NodeKind[];
  readonly parents: Int32Array;
  readonly depths: Int32Array;
  /** Children of node i: `children[firstChild[i] … firstChild[i + 1])`, in model order. */
  readonly firstChild: Int32Array;
  readonly children: Int32Array;
  /** Place among the siblings, from 0. */
  readonly places: Int32Array;
  /** Name and kind: what identifies a node when indices change. */
  readonly keys: readonly string[];
}

export function buildTree(nodes: Nodes): Tree {
  const size = nodes.name.length;
  const parents = new Int32Array(size);
  const depths = new Int32Array(size);
  const counts = new Int32Array(size + 1);
  for (let i = 0; i < size; i++) {
    const parent = nodes.parent[i] ?? -1;
    // A parent that does not stand before its child would make a cycle: such a node hangs on the root.
    parents[i] = i === 0 ? -1 : parent >= 0 && parent < i ? parent : 0;
    if (i === 0) continue;
    depths[i] = at(depths, at(parents, i)) + 1;
    counts[at(parents, i) + 1] = at(counts, at(parents, i) + 1) + 1;
  }
  for (let i = 0; i < size; i++) counts[i + 1] = at(counts, i + 1) + at(counts, i);
  const firstChild = counts.slice();
  const children = new Int32Array(Math.max(0, size - 1));
  const places = new Int32Array(size);
  for (let i = 1; i < size; i++) {
    const parent = at(parents, i);
    children[at(counts, parent)] = i;
    places[i] = at(counts, parent) - at(firstChild, parent);
    counts[parent] = at(counts, parent) + 1;
  }
  const keys = nodes.name.map((name, i) => `${nodes.kind[i] ?? ''}:${name}`);
  return { size, names: nodes.name, kinds: nodes.kind, parents, depths, firstChild, children, places, keys };
}

function at(column: Int32Array, index: number): number {
  return column[index] ?? 0;
}

export function parentOf(tree: Tree, node: number): number {
  return tree.parents[node] ?? -1;
}

export function depthOf(tree: Tree, node: number): number {
  return at(tree.depths, node);
}

export function childrenOf(tree: Tree, node: number): Int32Array {
  return tree.children.subarray(at(tree.firstChild, node), at(tree.firstChild, node + 1));
}

export function hasChildren(tree: Tree, node: number): boolean {
  return at(tree.firstChild, node + 1) > at(tree.firstChild, node);
}

/** The part of a node's dotted path that its parent's row does not show already. */
export function shortName(tree: Tree, node: number): string {
  const name = tree.names[node] ?? '';
  if (node === 0) return name === '' ? 'All tensors' : name;
  const above = tree.names[parentOf(tree, node)] ?? '';
  const rest = above !== '' && name.startsWith(above + '.') ? name.slice(above.length + 1) : name;
  return rest === '' ? '(no name)' : rest;
}

export function fullName(tree: Tree, node: number): string {
  const name = tree.names[node] ?? '';
  return name === '' ? shortName(tree, node) : name;
}

/** Which nodes are unfolded, as a set of keys, so that it outlives a change of indices. */
export type Open = ReadonlySet<string>;

/** Nodes that have a row: those whose ancestors are all open, depth first. */
export function visibleNodes(tree: Tree, open: Open): Int32Array {
  const rows = new Int32Array(tree.size);
  let count = 0;
  const pending = tree.size > 0 ? [0] : [];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    rows[count++] = node;
    if (!open.has(tree.keys[node] ?? '')) continue;
    const children = childrenOf(tree, node);
    for (let i = children.length - 1; i >= 0; i--) pending.push(at(children, i));
  }
  return rows.subarray(0, count);
}

export function openAll(tree: Tree): Open {
  return new Set(tree.keys.filter((_, node) => hasChildren(tree, node)));
}

/** Folded back to the whole stream and what is directly in it. */
export function openTop(tree: Tree): Open {
  return new Set(tree.keys.slice(0, 1));
}

/** Unfolds level after level while the rows fit a first look; a small model is unfolded entirely. */
export function openFirstLook(tree: Tree): Open {
  const rowsAtDepth: number[] = [];
  for (let node = 0; node < tree.size; node++) {
    const depth = depthOf(tree, node);
    rowsAtDepth[depth] = (rowsAtDepth[depth] ?? 0) + 1;
  }
  let rows = (rowsAtDepth[0] ?? 0) + (rowsAtDepth[1] ?? 0);
  let depth = 1;
  while (depth < rowsAtDepth.length && rows + (rowsAtDepth[depth + 1] ?? 0) <= FIRST_LOOK_ROWS)
    rows += rowsAtDepth[++depth] ?? 0;
  return new Set(tree.keys.filter((_, node) => depthOf(tree, node) < depth && hasChildren(tree, node)));
}

export function withFolded(open: Open, keys: Iterable<string>): Open {
  const next = new Set(open);
  for (const key of keys) next.delete(key);
  return next;
}

export function withUnfolded(open: Open, keys: Iterable<string>): Open {
  return new Set([...open, ...keys]);
}

/** Whether two trees have the same nodes at the same indices, so that tiles of one are tiles of the other. */
export function sameNodes(a: Tree, b: Tree): boolean {
  return (
    a.size === b.size &&
    a.keys.every((key, node) => key === b.keys[node]) &&
    a.parents.every((parent, node) => parent === b.parents[node])
  );
}

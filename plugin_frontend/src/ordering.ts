import { type Tree, visibleNodes, openAll } from './model.ts';

/** How rows are ordered: as in the model, by what the heatmap shows, or by a metric at one cell. */
export interface Order {
  readonly by: 'model' | 'worst' | 'metric';
  /** The metric's name, where `by` is `metric`. */
  readonly metric?: string;
  /** False puts the smallest first. */
  readonly descending?: boolean;
  /** Tensors alone, in one list without modules. */
  readonly flat?: boolean;
}

export const MODEL_ORDER: Order = { by: 'model' };

/** One figure of each node, and each node's place among all of them, from 0. */
export interface Ranks {
  readonly tree: Tree;
  readonly values: readonly (number | null)[];
  readonly places: Int32Array;
}

/** Each node's place when all modules are unfolded in model order. */
export function modelPlaces(tree: Tree): Int32Array {
  const places = new Int32Array(tree.size);
  for (const [place, node] of visibleNodes(tree, openAll(tree)).entries()) places[node] = place;
  return places;
}

/**
 * Nodes with NaN or Inf lead, those with the most such elements first; then the values, of which `sizes` compares the
 * magnitudes; then nodes without data. Equals keep their order in the model.
 */
export function ranksOf(
  tree: Tree,
  values: readonly (number | null)[],
  {
    bad = null,
    descending,
    sizes,
  }: { bad?: readonly (number | null)[] | null; descending: boolean; sizes: boolean },
): Ranks {
  const inModel = modelPlaces(tree);
  const sign = descending ? -1 : 1;
  const groups = new Uint8Array(tree.size);
  const scores = new Float64Array(tree.size);
  for (let node = 0; node < tree.size; node++) {
    const value = values[node] ?? null;
    const count = bad?.[node] ?? 0;
    if (count > 0 || (value !== null && !Number.isFinite(value))) scores[node] = -count;
    else if (value === null) groups[node] = 2;
    else [groups[node], scores[node]] = [1, sign * (sizes ? Math.abs(value) : value)];
  }
  const order = Int32Array.from(groups.keys()).sort(
    (a, b) =>
      (groups[a] ?? 0) - (groups[b] ?? 0) ||
      (scores[a] ?? 0) - (scores[b] ?? 0) ||
      (inModel[a] ?? 0) - (inModel[b] ?? 0),
  );
  const places = new Int32Array(tree.size);
  for (const [place, node] of order.entries()) places[node] = place;
  return { tree, values, places };
}

/** The tree's `children` with the children of each node ordered by their places. */
export function orderedChildren(tree: Tree, places: Int32Array): Int32Array {
  const children = tree.children.slice();
  const byPlace = (a: number, b: number) => (places[a] ?? 0) - (places[b] ?? 0);
  for (let node = 0; node < tree.size; node++)
    children.subarray(tree.firstChild[node], tree.firstChild[node + 1]).sort(byPlace);
  return children;
}

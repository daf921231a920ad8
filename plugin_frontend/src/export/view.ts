import type { Layer } from '../api.ts';
import { plural } from '../format.ts';
import { fullName } from '../model.ts';
import { cellsInView } from '../scales.ts';
import type { Store } from '../store.ts';
import type { Wanted } from './shell.ts';

/** Longest list of nodes in a URL, in characters: TensorBoard's server reads no longer lines. */
const MOST_URL_CHARACTERS = 30_000;

/** What the heatmap shows, as something to ask for. */
export interface View {
  readonly layer: Layer;
  /** Nodes in the order of their rows; null, which is all in the order of the run's, where they are too many to name. */
  readonly nodes: readonly number[] | null;
  /** Whether these are all nodes of the run. */
  readonly isAll: boolean;
  /** Steps [first, end): whole cells, as far as the run goes. */
  readonly steps: readonly [number, number];
  readonly cells: number;
}

export function viewOf(store: Store): View | null {
  const [scene, layer, tree] = [store.scene.peek(), store.layer.peek(), store.tree.peek()];
  if (scene === null || layer === null || tree === null) return null;
  const { scale, grid } = scene;
  const [first, end] = cellsInView(scale, grid);
  // Beside a longer run, or below a filter that leaves nothing.
  if (first >= end || scene.nodes.length === 0) return null;
  const nodes = Array.from(scene.nodes);
  const isTooLong = nodes.join(',').length > MOST_URL_CHARACTERS;
  const steps = [
    Math.max(grid.steps[0], first * scale.cellSteps),
    Math.min(grid.steps[1], end * scale.cellSteps),
  ] as const;
  return {
    layer,
    nodes: isTooLong ? null : nodes,
    isAll: isTooLong || nodes.length === tree.size,
    steps,
    cells: end - first,
  };
}

export function commandOf(store: Store, view: View): Wanted {
  const tree = store.tree.peek();
  const names = view.isAll ? null : (view.nodes?.map((node) => tree?.names[node] ?? '') ?? null);
  const { run, stream, metric } = view.layer;
  return { run, stream, metric, nodes: names, steps: view.steps };
}

/** Names of the rows [first, end), for a picture of them. */
export function rowNames(store: Store, first: number, end: number): string[] {
  const [tree, nodes] = [store.tree.peek(), store.nodes.peek()];
  return tree === null ? [] : Array.from(nodes.subarray(first, end), (node) => fullName(tree, node));
}

/** Which rows a table of the view has, and in which order where that is not the one shown. */
export function rowsTold({ nodes, isAll }: View): string {
  if (nodes === null) return 'all rows of the run, level by level';
  return isAll ? 'all rows' : `the ${plural(nodes.length, 'row')} shown`;
}

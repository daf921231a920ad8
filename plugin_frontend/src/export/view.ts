import type { Layer } from '../api.ts';
import { fullName } from '../model.ts';
import { cellsInView } from '../scales.ts';
import type { Store } from '../store.ts';
import type { Wanted } from './shell.ts';

/** Longest list of nodes in a URL, in characters: TensorBoard's server reads no longer lines. */
const MOST_URL_CHARACTERS = 30_000;

/** What the heatmap shows, as something to ask for. */
export interface View {
  readonly layer: Layer;
  /** Nodes in the order of their rows; null where all are, or are too many to name. */
  readonly nodes: readonly number[] | null;
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
  const all = nodes.length === tree.size || nodes.join(',').length > MOST_URL_CHARACTERS;
  const steps = [
    Math.max(grid.steps[0], first * scale.cellSteps),
    Math.min(grid.steps[1], end * scale.cellSteps),
  ] as const;
  return { layer, nodes: all ? null : nodes, steps, cells: end - first };
}

export function commandOf(store: Store, view: View): Wanted {
  const tree = store.tree.peek();
  const names = view.nodes?.map((node) => tree?.names[node] ?? '') ?? null;
  const { run, stream, metric } = view.layer;
  return { run, stream, metric, nodes: names, steps: view.steps };
}

/** Names of the rows [first, end), for a picture of them. */
export function rowNames(store: Store, first: number, end: number): string[] {
  const [tree, nodes] = [store.tree.peek(), store.nodes.peek()];
  return tree === null ? [] : Array.from(nodes.subarray(first, end), (node) => fullName(tree, node));
}

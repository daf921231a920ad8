import { FLAGS_NON_FINITE, FLAG_NAN, FLAG_NEG_INF, FLAG_POS_INF } from '../tiles.ts';

/** A figure's mean, min and max in each cell; null is no data. */
export interface Band {
  readonly mean: readonly (number | null)[];
  readonly min: readonly (number | null)[];
  readonly max: readonly (number | null)[];
  /** As in tiles; a figure that was logged has none. */
  readonly flags?: readonly number[];
}

/** A corner by corner outline: x₀ y₀ x₁ y₁ … */
export type Outline = readonly number[];

/** Where a step and a value are drawn. */
export interface Place {
  readonly x: (step: number) => number;
  readonly y: (value: number) => number;
}

/** The cell [edges[i], edges[i + 1]) that holds a step, or null outside all of them. */
export function cellOfStep(edges: readonly number[], step: number): number | null {
  let [low, high] = [0, edges.length - 1];
  if (high < 1 || step < (edges[0] ?? 0) || step >= (edges[high] ?? 0)) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((edges[middle] ?? 0) <= step) low = middle;
    else high = middle;
  }
  return low;
}

/** Flags 1 NaN, 2 +Inf, 4 −Inf of a cell: those it came with, and those of its own figures. */
export function nonFiniteFlags({ mean, min, max, flags }: Band, cell: number): number {
  let found = (flags?.[cell] ?? 0) & FLAGS_NON_FINITE;
  for (const value of [mean[cell], min[cell], max[cell]]) {
    if (value === null || value === undefined || Number.isFinite(value)) continue;
    found |= Number.isNaN(value) ? FLAG_NAN : value > 0 ? FLAG_POS_INF : FLAG_NEG_INF;
  }
  return found;
}

function drawable(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/**
 * The mean as stairs, one outline for each run of cells with data: a figure stands for a whole cell, and its edges are
 * those of the heatmap's.
 */
export function stairsOf(edges: readonly number[], values: Band['mean'], { x, y }: Place): Outline[] {
  const outlines: number[][] = [];
  let open: number[] | null = null;
  for (let cell = 0; cell < values.length; cell++) {
    const value = values[cell];
    if (!drawable(value)) {
      open = null;
      continue;
    }
    if (open === null) outlines.push((open = []));
    const height = y(value);
    open.push(x(edges[cell] ?? 0), height, x(edges[cell + 1] ?? 0), height);
  }
  return outlines;
}

/** Closed outlines around min and max, one for each run of cells with data. */
export function bandsOf(edges: readonly number[], { min, max }: Band, place: Place): Outline[] {
  const both = (values: Band['mean']) =>
    values.map((value, cell) => (drawable(min[cell]) && drawable(max[cell]) ? value : null));
  const lower = stairsOf(edges, both(min), place);
  return stairsOf(edges, both(max), place).map((upper, i) => [...upper, ...backwards(lower[i] ?? [])]);
}

function backwards(outline: Outline): Outline {
  const corners: number[] = [];
  for (let i = outline.length - 2; i >= 0; i -= 2) corners.push(outline[i] ?? 0, outline[i + 1] ?? 0);
  return corners;
}

/** Marks at least `gap` apart: each stands for the cells [first, end) and has all their flags. */
export interface EdgeMark {
  readonly at: number;
  readonly flags: number;
}

/** Cells for which `flagsOf` is not 0, as marks in the middle of their clusters. */
export function edgeMarks(
  edges: readonly number[],
  flagsOf: (cell: number) => number,
  x: Place['x'],
  gap: number,
): EdgeMark[] {
  const marks: { from: number; to: number; flags: number }[] = [];
  for (let cell = 0; cell + 1 < edges.length; cell++) {
    const flags = flagsOf(cell);
    if (flags === 0) continue;
    const [from, to] = [x(edges[cell] ?? 0), x(edges[cell + 1] ?? 0)];
    const last = marks.at(-1);
    if (last !== undefined && to - last.from < gap) {
      last.to = to;
      last.flags |= flags;
    } else marks.push({ from, to, flags });
  }
  return marks.map(({ from, to, flags }) => ({ at: (from + to) / 2, flags }));
}

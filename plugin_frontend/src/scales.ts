import { TILE_CELLS } from './tiles.ts';

/** Fewest cells of level 0 across the heatmap: closer, there is nothing more to see. */
export const FEWEST_CELLS = 8;

/** Steps [start, end), which may be fractional while zooming. */
export interface StepWindow {
  readonly start: number;
  readonly end: number;
}

/** How the recorded steps are cut into cells: `cell` steps at level 0, twice as many at each level above. */
export interface Grid {
  readonly steps: readonly [number, number];
  readonly cell: number;
  readonly levels: number;
}

/** A window of steps laid over a width of device pixels, at the level that is drawn. */
export interface StepScale extends StepWindow {
  readonly widthDevicePx: number;
  readonly level: number;
  /** Steps in a cell of that level. */
  readonly cellSteps: number;
}

export function stepsInCell(grid: Grid, level: number): number {
  return grid.cell * 2 ** level;
}

/** Steps from the first cell's begin to the last cell's end, at a level. */
function cellAligned(grid: Grid, level: number): StepWindow {
  const size = stepsInCell(grid, level);
  return { start: Math.floor(grid.steps[0] / size) * size, end: Math.ceil(grid.steps[1] / size) * size };
}

/** The grid over its own and further steps, with as many levels as it takes for all of them to fit a tile's width. */
export function extended(grid: Grid, further: readonly [number, number]): Grid {
  const steps = [Math.min(grid.steps[0], further[0]), Math.max(grid.steps[1], further[1])] as const;
  let levels = grid.levels;
  while (Math.ceil(steps[1] / size(levels)) - Math.floor(steps[0] / size(levels)) > TILE_CELLS) levels++;
  return { ...grid, steps, levels };

  function size(count: number): number {
    return stepsInCell(grid, count - 1);
  }
}

/** Whether cells of a level are at least one device pixel wide. */
function fits(grid: Grid, level: number, { start, end }: StepWindow, widthDevicePx: number): boolean {
  return end - start <= stepsInCell(grid, level) * widthDevicePx;
}

/** The finest level whose cells are at least one device pixel wide, so that drawing never drops a cell. */
export function levelOf(grid: Grid, window: StepWindow, widthDevicePx: number): number {
  for (let level = 0; level < grid.levels; level++)
    if (fits(grid, level, window, widthDevicePx)) return level;
  return grid.levels - 1;
}

/** The whole run, whole cells included, so that its last and unfinished cell is at least a pixel wide as well. */
export function wholeRun(grid: Grid, widthDevicePx: number): StepWindow {
  for (let level = 0; level < grid.levels; level++) {
    const window = cellAligned(grid, level);
    if (fits(grid, level, window, widthDevicePx)) return window;
  }
  return lastCells(grid, cellAligned(grid, grid.levels - 1), widthDevicePx);
}

/** On a canvas narrower than the coarsest level: as many of its last cells as there are pixels. */
function lastCells(grid: Grid, window: StepWindow, widthDevicePx: number): StepWindow {
  const span = stepsInCell(grid, grid.levels - 1) * Math.max(1, widthDevicePx);
  return { start: Math.max(window.start, window.end - span), end: window.end };
}

export function stepScale(grid: Grid, window: StepWindow, widthDevicePx: number): StepScale {
  const level = levelOf(grid, window, widthDevicePx);
  return { ...window, widthDevicePx, level, cellSteps: stepsInCell(grid, level) };
}

/**
 * A window inside the whole run, or null where it would be all of it: null means un-zoomed, and only that follows
 * a live run.
 */
export function clampWindow(grid: Grid, wanted: StepWindow, widthDevicePx: number): StepWindow | null {
  const whole = wholeRun(grid, widthDevicePx);
  const wholeSpan = whole.end - whole.start;
  const span = Math.max(wanted.end - wanted.start, Math.min(wholeSpan, grid.cell * FEWEST_CELLS));
  if (span >= wholeSpan) return null;
  const start = Math.min(Math.max(wanted.start, whole.start), whole.end - span);
  return { start, end: start + span };
}

/** Zooms by `factor` (< 1 is closer) and keeps `step` where it is. */
export function zoomAround(window: StepWindow, step: number, factor: number): StepWindow {
  return { start: step - (step - window.start) * factor, end: step + (window.end - step) * factor };
}

export function shifted(window: StepWindow, steps: number): StepWindow {
  return { start: window.start + steps, end: window.end + steps };
}

/** Two fingers on device pixels `from` have moved to `to`, and have taken the steps below them along. */
export function pinched(
  scale: StepScale,
  from: readonly [number, number],
  to: readonly [number, number],
): StepWindow {
  const [first, second] = [stepAt(scale, from[0]), stepAt(scale, from[1])];
  const perDevicePx = (second - first) / (to[1] - to[0]);
  const start = first - to[0] * perDevicePx;
  return { start, end: start + scale.widthDevicePx * perDevicePx };
}

export function stepAt(scale: StepScale, devicePx: number): number {
  return scale.start + ((scale.end - scale.start) * devicePx) / scale.widthDevicePx;
}

export function devicePxAt(scale: StepScale, step: number): number {
  return ((step - scale.start) * scale.widthDevicePx) / (scale.end - scale.start);
}

/** Left edge of a cell in whole device pixels. Edges rise by at least 1, as long as the level is `levelOf`'s. */
export function cellEdgeDevicePx(scale: StepScale, cell: number): number {
  return Math.round(devicePxAt(scale, cell * scale.cellSteps));
}

/** The cell that a device pixel column belongs to: the inverse of `cellEdgeDevicePx`. */
export function cellAtDevicePx(scale: StepScale, devicePx: number): number {
  const column = Math.floor(devicePx);
  // Rounded edges are up to half a pixel off, and a cell may be just one pixel wide: so the neighbour may own it.
  let cell = Math.floor(stepAt(scale, column + 0.5) / scale.cellSteps);
  while (cellEdgeDevicePx(scale, cell + 1) <= column) cell++;
  while (cellEdgeDevicePx(scale, cell) > column) cell--;
  return cell;
}

/** Cells [first, end) with a pixel on the canvas that the run may have. */
export function cellsInView(scale: StepScale, grid: Grid): [number, number] {
  const run = cellAligned(grid, scale.level);
  const first = Math.max(cellAtDevicePx(scale, 0), run.start / scale.cellSteps);
  const end = Math.min(cellAtDevicePx(scale, scale.widthDevicePx - 1) + 1, run.end / scale.cellSteps);
  return [first, Math.max(first, end)];
}

/** The run's steps [first, end) in view, whole ones. */
export function stepsInView(scale: StepScale, { steps }: Grid): [number, number] {
  return [Math.max(steps[0], Math.floor(scale.start)), Math.min(steps[1], Math.ceil(scale.end))];
}

export function tileOfCell(cell: number): number {
  return Math.floor(cell / TILE_CELLS);
}

/** Steps at which to put ticks: multiples of 1, 2 or 5 times a power of ten, at least `gapDevicePx` apart. */
export function stepTicks(scale: StepScale, gapDevicePx: number): number[] {
  const least = ((scale.end - scale.start) * gapDevicePx) / scale.widthDevicePx;
  const gap = Math.max(1, niceAbove(least));
  const first = Math.ceil(scale.start / gap);
  // Counted, not added up: beyond 2^53 a step plus the gap may be the same number again.
  const count = Math.min(scale.widthDevicePx, Math.floor(scale.end / gap) - first + 1);
  return Array.from({ length: Math.max(0, count) }, (_, i) => (first + i) * gap);
}

/** The smallest 1, 2 or 5 times a power of ten that is not below a positive value. */
export function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const digit of [1, 2, 5]) if (digit * power >= value * (1 - 1e-9)) return digit * power;
  return 10 * power;
}

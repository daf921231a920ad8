import type { Scene } from './picture.ts';
import {
  FEWEST_CELLS,
  type Grid,
  type StepScale,
  type StepWindow,
  cellsInView,
  levelOf,
  shifted,
  stepsInCell,
  wholeRun,
} from './scales.ts';
import type { TileId } from './tiles.ts';
import { tilesBehind } from './viewport.ts';

/** The whole stream: what the minimap shows. */
const ROOT = 0;

/** A key on an edge of the window moves it by this share of the run, or by a cell where that is more. */
const KEY_SHARE = 0.01;
/** A key on the window moves it by this share of itself. */
const KEY_WINDOW_SHARE = 0.1;

export type Grip = 'start' | 'end' | 'window';

/** Whether the run has more cells than the heatmap has pixels, so that there is a part to be found in a whole. */
export function hasMinimap(grid: Grid, widthDevicePx: number): boolean {
  return widthDevicePx > 0 && levelOf(grid, wholeRun(grid, widthDevicePx), widthDevicePx) > 0;
}

/** The whole run across the heatmap's width, in cells of the coarsest level. */
export function minimapScale(grid: Grid, widthDevicePx: number): StepScale {
  const level = grid.levels - 1;
  return { ...wholeRun(grid, widthDevicePx), widthDevicePx, level, cellSteps: stepsInCell(grid, level) };
}

/** The heatmap's scene with one row alone and all steps. */
export function minimapScene(scene: Scene): Scene {
  return {
    ...scene,
    viewport: { ...scene.viewport, scrollDevicePx: 0 },
    scale: minimapScale(scene.grid, scene.viewport.widthDevicePx),
    nodes: Int32Array.of(ROOT),
  };
}

export function minimapTiles({ grid, viewport: { widthDevicePx } }: Scene): TileId[] {
  if (!hasMinimap(grid, widthDevicePx)) return [];
  const scale = minimapScale(grid, widthDevicePx);
  return tilesBehind([ROOT], cellsInView(scale, grid), scale.level);
}

/** The window with one edge at a step, or all of it moved so that its middle is there; within the run. */
export function gripped(
  grid: Grid,
  whole: StepWindow,
  window: StepWindow,
  grip: Grip,
  step: number,
): StepWindow {
  const span = window.end - window.start;
  const least = Math.min(FEWEST_CELLS * grid.cell, whole.end - whole.start);
  const at = Math.min(whole.end, Math.max(whole.start, step));
  if (grip === 'start') return { start: Math.min(at, window.end - Math.min(least, span)), end: window.end };
  if (grip === 'end') return { start: window.start, end: Math.max(at, window.start + Math.min(least, span)) };
  const start = Math.min(Math.max(step - span / 2, whole.start), whole.end - span);
  return { start, end: start + span };
}

/** Where a key takes the grip's step, as the ARIA practices have it for sliders; null for keys that mean nothing. */
export function keyedStep(
  grid: Grid,
  whole: StepWindow,
  window: StepWindow,
  grip: Grip,
  key: string,
): number | null {
  const from = gripStep(window, grip);
  const span = window.end - window.start;
  const fine = Math.max(grid.cell, (whole.end - whole.start) * KEY_SHARE);
  const small = grip === 'window' ? Math.max(grid.cell, span * KEY_WINDOW_SHARE) : fine;
  const large = grip === 'window' ? span : 10 * fine;
  const steps: Record<string, number> = {
    ArrowLeft: from - small,
    ArrowDown: from - small,
    ArrowRight: from + small,
    ArrowUp: from + small,
    PageDown: from - large,
    PageUp: from + large,
    Home: whole.start,
    End: whole.end,
  };
  return Object.hasOwn(steps, key) ? (steps[key] ?? null) : null;
}

export function gripStep(window: StepWindow, grip: Grip): number {
  return grip === 'window' ? (window.start + window.end) / 2 : window[grip];
}

/** From a step that was pressed to where the pointer is: a window of its own. */
export function drawn(grid: Grid, from: number, to: number): StepWindow {
  const [start, end] = [Math.min(from, to), Math.max(from, to)];
  const lacking = Math.max(0, FEWEST_CELLS * grid.cell - (end - start));
  return shifted({ start, end: end + lacking }, -lacking / 2);
}

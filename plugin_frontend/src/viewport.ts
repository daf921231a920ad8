import { type StepScale, cellAtDevicePx, cellEdgeDevicePx, devicePxAt, tileOfCell } from './scales.ts';
import { TILE_ROWS, type TileId } from './tiles.ts';

const ROW_CSS_PX = 18;

/** The heatmap's window on the unfolded rows, in device pixels. */
export interface Viewport {
  readonly widthDevicePx: number;
  readonly heightDevicePx: number;
  readonly scrollDevicePx: number;
  readonly devicePixelRatio: number;
}

export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Row height in whole device pixels, for the tree as for the canvas, so that both stay aligned at any zoom. */
export function rowDevicePx(devicePixelRatio: number): number {
  return Math.max(1, Math.round(ROW_CSS_PX * devicePixelRatio));
}

export function rowCssPx(devicePixelRatio: number): number {
  return rowDevicePx(devicePixelRatio) / devicePixelRatio;
}

export function rowTopDevicePx(viewport: Viewport, row: number): number {
  return row * rowDevicePx(viewport.devicePixelRatio) - viewport.scrollDevicePx;
}

export function rowAtDevicePx(viewport: Viewport, devicePx: number): number {
  return Math.floor((devicePx + viewport.scrollDevicePx) / rowDevicePx(viewport.devicePixelRatio));
}

/** Rows [first, end) of `count` that have a pixel in the viewport. */
export function rowsInView(viewport: Viewport, count: number): [number, number] {
  const first = Math.max(0, rowAtDevicePx(viewport, 0));
  const end = Math.min(count, rowAtDevicePx(viewport, viewport.heightDevicePx - 1) + 1);
  return [Math.min(first, end), end];
}

/** The tiles behind some rows' nodes and the cells [first, end), each once, in reading order. */
export function tilesBehind(
  nodes: Iterable<number>,
  cells: readonly [number, number],
  level: number,
): TileId[] {
  if (cells[0] >= cells[1]) return [];
  const blocks = new Set<number>();
  for (const node of nodes) blocks.add(Math.floor(node / TILE_ROWS));
  const ids: TileId[] = [];
  for (const r of blocks)
    for (let c = tileOfCell(cells[0]); c <= tileOfCell(cells[1] - 1); c++) ids.push({ level, r, c });
  return ids;
}

/** A cell's rectangle on the canvas in CSS pixels, or null where no pixel of it is in the viewport. */
export function cellRectCssPx(viewport: Viewport, scale: StepScale, row: number, cell: number): Rect | null {
  const left = Math.max(0, cellEdgeDevicePx(scale, cell));
  const right = Math.min(viewport.widthDevicePx, cellEdgeDevicePx(scale, cell + 1));
  const top = rowTopDevicePx(viewport, row);
  const height = rowDevicePx(viewport.devicePixelRatio);
  if (row < 0 || left >= right || top + height <= 0 || top >= viewport.heightDevicePx) return null;
  const ratio = viewport.devicePixelRatio;
  return { x: left / ratio, y: top / ratio, width: (right - left) / ratio, height: height / ratio };
}

/** Row and cell under a point of the canvas in CSS pixels. */
export function cellAtCssPx(
  viewport: Viewport,
  scale: StepScale,
  cssX: number,
  cssY: number,
): { row: number; cell: number } {
  const ratio = viewport.devicePixelRatio;
  return { row: rowAtDevicePx(viewport, cssY * ratio), cell: cellAtDevicePx(scale, cssX * ratio) };
}

/** Horizontal place of a step on the canvas, in CSS pixels. */
export function stepCssX(viewport: Viewport, scale: StepScale, step: number): number {
  return devicePxAt(scale, step) / viewport.devicePixelRatio;
}

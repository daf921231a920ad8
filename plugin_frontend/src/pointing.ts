import { batch, computed, signal } from '@preact/signals';
import { valueOf } from './colours.ts';
import { fullName } from './model.ts';
import { cellEdgeDevicePx, shifted, stepAt } from './scales.ts';
import type { Store } from './store.ts';
import { TILE_CELLS, TILE_ROWS } from './tiles.ts';
import { type Rect, cellAtCssPx, cellRectCssPx, rowDevicePx, rowsInView } from './viewport.ts';

/** A cell that the pointer or the keyboard's cursor is on. */
export interface Pointed {
  readonly by: 'pointer' | 'cursor';
  readonly node: number;
  readonly row: number;
  readonly level: number;
  readonly index: number;
  readonly rect: Rect;
}

/** Which cell is meant: the one under the pointer, else the one under the cursor while the heatmap has the focus. */
export class Pointing {
  constructor(private readonly store: Store) {}

  readonly pointed = computed<Pointed | null>(() => {
    const pointer = this.store.pointer.value;
    if (pointer !== null) return this.cellAt(pointer.cssX, pointer.cssY);
    return this.store.cursorShown.value ? this.cursorCell.value : null;
  });

  /** Where the pointer is on the step axis of a chart or the overview, as a step and a fraction. */
  readonly stepElsewhere = signal<number | null>(null);

  /** Where the pointer is on the step axis, be it on the heatmap or on what stands above and below. */
  readonly stepPointed = computed<number | null>(() => {
    const [pointer, scale] = [this.store.pointer.value, this.store.scale.value];
    if (pointer === null || scale === null) return this.stepElsewhere.value;
    return stepAt(scale, pointer.cssX * this.store.size.value.devicePixelRatio);
  });

  /** The step whose figures are told: under the pointer, else the cursor's. */
  readonly stepTold = computed<number | null>(() => {
    const step = this.stepPointed.value ?? this.store.cursor.value?.step;
    return step === undefined ? null : Math.floor(step);
  });

  readonly cursorCell = computed<Pointed | null>(() => {
    const [scene, place, tree] = [this.store.scene.value, this.store.cursor.value, this.store.tree.value];
    if (scene === null || place === null || tree === null) return null;
    const row = scene.nodes.findIndex((node) => tree.keys[node] === place.key);
    return this.describe(row, Math.floor(place.step / scene.scale.cellSteps), 'cursor');
  });

  cellAt(cssX: number, cssY: number): Pointed | null {
    const scene = this.store.scene.value;
    if (scene === null || cssX < 0 || cssY < 0) return null;
    const { row, cell } = cellAtCssPx(scene.viewport, scene.scale, cssX, cssY);
    return this.describe(row, cell, 'pointer');
  }

  /** The rectangle of the cell that holds a node's step, or null where it is not in view. */
  rectOf(node: number, step: number): Rect | null {
    const scene = this.store.scene.peek();
    if (scene === null || step < scene.grid.steps[0] || step >= scene.grid.steps[1]) return null;
    const row = scene.nodes.indexOf(node);
    return cellRectCssPx(scene.viewport, scene.scale, row, Math.floor(step / scene.scale.cellSteps));
  }

  private describe(row: number, index: number, by: Pointed['by']): Pointed | null {
    const scene = this.store.scene.value;
    const node = scene?.nodes[row];
    if (scene === null || node === undefined) return null;
    const { scale, grid, viewport } = scene;
    if ((index + 1) * scale.cellSteps <= grid.steps[0] || index * scale.cellSteps >= grid.steps[1])
      return null;
    const rect = cellRectCssPx(viewport, scale, row, index);
    return rect === null ? null : { by, node, row, level: scale.level, index, rect };
  }

  /** What the tile at hand says of a cell. */
  shownValue({ node, level, index }: Pointed): { value: number; flags: number } | null {
    const tile = this.store.scene.value?.tileAt({
      level,
      r: Math.floor(node / TILE_ROWS),
      c: Math.floor(index / TILE_CELLS),
    });
    if (tile === undefined) return null;
    const at = (node % TILE_ROWS) * TILE_CELLS + (index % TILE_CELLS);
    return { value: valueOf(tile.codes[at] ?? 0, tile.folded), flags: tile.flags[at] ?? 0 };
  }

  pathOf(node: number): string {
    const tree = this.store.tree.value;
    return tree === null ? '' : fullName(tree, node);
  }

  placeCursor(pointed: Pointed): void {
    const [scene, tree] = [this.store.scene.peek(), this.store.tree.peek()];
    const key = tree?.keys[pointed.node];
    if (scene === null || key === undefined) return;
    const { grid, scale } = scene;
    const step = Math.max(grid.steps[0], pointed.index * scale.cellSteps);
    batch(() => {
      this.store.cursor.value = { key, step };
      this.store.orderSteps.value = [step, Math.min(grid.steps[1], (pointed.index + 1) * scale.cellSteps)];
      this.store.cursorShown.value = true;
      this.store.activeKey.value = key;
    });
  }

  /** Moves the cursor by rows and cells and brings it into view; without a cursor it starts in the middle. */
  moveCursor(rows: number, cells: number): void {
    const [scene, tree] = [this.store.scene.peek(), this.store.tree.peek()];
    if (scene === null || tree === null || scene.nodes.length === 0) return;
    const { scale, grid } = scene;
    const place = this.store.cursor.peek();
    const known = place === null ? -1 : scene.nodes.findIndex((node) => tree.keys[node] === place.key);
    const from = place ?? { step: Math.floor((scale.start + scale.end) / 2) };
    const firstCell = Math.floor(grid.steps[0] / scale.cellSteps);
    const lastCell = Math.ceil(grid.steps[1] / scale.cellSteps) - 1;
    const cell = clamp(
      Math.floor(from.step / scale.cellSteps) + (place === null ? 0 : cells),
      firstCell,
      lastCell,
    );
    const row = clamp(Math.max(0, known) + (place === null ? 0 : rows), 0, scene.nodes.length - 1);
    const key = tree.keys[scene.nodes[row] ?? 0] ?? '';
    batch(() => {
      this.store.pointer.value = null;
      this.store.cursorShown.value = true;
      this.store.activeKey.value = key;
      this.store.cursor.value = { key, step: Math.max(grid.steps[0], cell * scale.cellSteps) };
      this.revealRow(row);
      this.revealCell(cell);
    });
  }

  /** Shows the module of the cell that is pointed at alone; the whole tree again where it is alone already. */
  focusModule(): void {
    const node = (this.pointed.peek() ?? this.cursorCell.peek())?.node;
    if (node !== undefined) this.store.outline.toggleFocus(node);
  }

  revealRow(row: number): void {
    const { heightDevicePx, scrollDevicePx, devicePixelRatio } = this.store.viewport.peek();
    const height = rowDevicePx(devicePixelRatio);
    const top = row * height;
    const bottom = top + height - heightDevicePx;
    if (top < scrollDevicePx) this.store.scrollCssPx.value = top / devicePixelRatio;
    else if (bottom > scrollDevicePx) this.store.scrollCssPx.value = bottom / devicePixelRatio;
  }

  /** Below 0 where no row is the cursor's. */
  private readonly cursorRow = computed(() => {
    const [place, tree] = [this.store.cursor.value, this.store.tree.value];
    return this.store.nodes.value.findIndex((node) => tree?.keys[node] === place?.key);
  });

  /** Whether a pixel of it is. */
  readonly cursorRowIsInView = computed(() => {
    const [row, viewport, { length }] = [
      this.cursorRow.value,
      this.store.viewport.value,
      this.store.nodes.value,
    ];
    const [first, end] = rowsInView(viewport, length);
    return row >= first && row < end;
  });

  /** Scrolls to the cursor's row as far as needed, as after the heatmap has become lower. */
  revealCursor(): void {
    const row = this.cursorRow.peek();
    if (row >= 0) this.revealRow(row);
  }

  private revealCell(cell: number): void {
    const scale = this.store.scale.peek();
    if (scale === null) return;
    const left = cellEdgeDevicePx(scale, cell);
    const right = cellEdgeDevicePx(scale, cell + 1);
    const over = left < 0 ? left : Math.max(0, right - scale.widthDevicePx);
    if (over !== 0) this.store.zoomTo(shifted(scale, stepAt(scale, over) - stepAt(scale, 0)));
  }

  /** The step axis around a point, for zooming: the step under the pointer, else the cursor's, else the middle. */
  focusStep(): number {
    const scale = this.store.scale.peek();
    if (scale === null) return 0;
    const pointer = this.store.pointer.peek();
    if (pointer !== null) return stepAt(scale, pointer.cssX * this.store.size.peek().devicePixelRatio);
    const step = this.store.cursor.peek()?.step;
    const inView = step !== undefined && step >= scale.start && step < scale.end;
    return inView ? step : (scale.start + scale.end) / 2;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

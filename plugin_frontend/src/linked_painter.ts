import { oncePerFrame } from './frame.ts';
import type { Heatmap } from './heatmap.ts';
import type { LinkedRun } from './linked.ts';
import { lockRange } from './painter.ts';
import { type Row, type Scene, rowsOf } from './picture.ts';
import { cellsInView } from './scales.ts';
import { Signs, contextOf } from './signs.ts';
import type { Store } from './store.ts';
import { PALETTES, type Palette, type Theme } from './theme.ts';
import { rowDevicePx, rowTopDevicePx, rowsInView, tilesBehind } from './viewport.ts';

const ABSENT = 'not in this run';

/** Draws the second run with the first one's colours, and asks for the tiles that it lacks. */
export class LinkedPainter {
  readonly schedule = oncePerFrame(() => {
    this.paint();
  });

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly heatmap: Heatmap,
    private readonly store: Store,
    private readonly linked: LinkedRun,
    private readonly theme: () => Theme,
  ) {}

  private paint(): void {
    const [scene, layer] = [this.linked.scene.peek(), this.linked.layer.peek()];
    if (scene === null || layer === null) return;
    const nodes = scene.nodes.subarray(...rowsInView(scene.viewport, scene.nodes.length));
    const present = nodes.filter((node) => node >= 0);
    this.linked.tiles.want(
      layer,
      tilesBehind(present, cellsInView(scene.scale, scene.grid), scene.scale.level),
    );
    const rows = rowsOf(scene);
    if (this.mustLock(rows)) lockRange(this.store, scene, rows, 'tiles');
    const palette = PALETTES[this.theme()];
    const painted = this.heatmap.draw(scene, rows, this.store.tables.peek(), palette);
    drawAbsent(this.canvas, scene, palette);
    this.linked.complete.value = painted.complete;
  }

  /** The range is the first run's, unless that has nothing in view. */
  private mustLock(rows: readonly Row[]): boolean {
    const first = this.store.scene.peek();
    if (first === null || this.store.ranges.peek()?.fromData === true) return false;
    const [begin, end] = cellsInView(first.scale, first.grid);
    return begin >= end && rows.length > 0 && rows.every((row) => row.missing.length === 0);
  }
}

/** Rows of which a run has no node: hatched, and told in words. */
export function drawAbsent(canvas: HTMLCanvasElement, scene: Scene, palette: Palette): void {
  const context = contextOf(canvas);
  const { viewport } = scene;
  const [ratio, height] = [viewport.devicePixelRatio, rowDevicePx(viewport.devicePixelRatio)];
  const signs = new Signs(context, ratio);
  const [first, end] = rowsInView(viewport, scene.nodes.length);
  context.font = `${Math.round(11 * ratio)}px sans-serif`;
  context.textBaseline = 'middle';
  const widthOfText = context.measureText(ABSENT).width + 12 * ratio;
  for (let row = first; row < end; row++) {
    if ((scene.nodes[row] ?? -1) >= 0) continue;
    const top = rowTopDevicePx(viewport, row);
    signs.hatch({ left: 0, right: viewport.widthDevicePx }, top, height - Math.round(ratio), palette.hatch);
    context.fillStyle = palette.background;
    context.fillRect(0, top, widthOfText, height);
    context.fillStyle = palette.quiet;
    context.fillText(ABSENT, 6 * ratio, top + height / 2);
  }
}

import {
  type ColourTables,
  type Mark,
  type Row,
  type Scene,
  cellOfColumns,
  marksOf,
  paintLine,
} from './picture.ts';
import { Signs, contextOf, signOf } from './signs.ts';
import type { Palette } from './theme.ts';
import { rowDevicePx, rowTopDevicePx } from './viewport.ts';

/** What came out of drawing a scene. */
export interface Painted {
  /** All tiles were there, and a colour range. */
  readonly complete: boolean;
  readonly nonFiniteCells: number;
  /** Nodes in view with such a cell. */
  readonly nonFiniteNodes: ReadonlySet<number>;
}

/**
 * Draws one line of pixels for each row in view, then stretches the lines to the row's height. A frame costs one table
 * lookup for each pixel column of each row: nothing is coloured that is not seen, and a new colour range is free.
 */
export class Heatmap {
  private readonly context: CanvasRenderingContext2D;
  private readonly lines: CanvasRenderingContext2D;
  private image: ImageData | null = null;
  private signs: Signs | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = contextOf(canvas, { alpha: false });
    // Written by the CPU in each frame: a canvas on the GPU would be the slow way round.
    this.lines = contextOf(document.createElement('canvas'), { willReadFrequently: true });
  }

  /** `tables` is null while there is no colour range yet. */
  draw(scene: Scene, rows: readonly Row[], tables: ColourTables | null, palette: Palette): Painted {
    const { widthDevicePx, heightDevicePx, devicePixelRatio } = scene.viewport;
    if (this.canvas.width !== widthDevicePx) this.canvas.width = widthDevicePx;
    if (this.canvas.height !== heightDevicePx) this.canvas.height = heightDevicePx;
    if (this.signs?.devicePixelRatio !== devicePixelRatio)
      this.signs = new Signs(this.context, devicePixelRatio);
    this.context.fillStyle = palette.background;
    this.context.fillRect(0, 0, widthDevicePx, heightDevicePx);
    const marks = marksOf(scene, rows, (width) => this.signs?.hasRoom(width) ?? false);
    this.drawPending(scene, rows, tables, palette);
    if (tables !== null && rows.length > 0) this.drawLines(scene, rows, tables);
    this.drawGaps(scene, rows, palette);
    for (const mark of marks) this.drawMark(this.signs, scene, mark, palette);
    const bad = marks.filter((mark) => mark.kind === 'nonFinite');
    return {
      complete: tables !== null && rows.every((row) => row.missing.length === 0),
      nonFiniteCells: bad.reduce((sum, mark) => sum + mark.cells, 0),
      nonFiniteNodes: new Set(bad.map((mark) => mark.node)),
    };
  }

  private drawPending(
    scene: Scene,
    rows: readonly Row[],
    tables: ColourTables | null,
    palette: Palette,
  ): void {
    this.context.fillStyle = palette.pending;
    const height = rowDevicePx(scene.viewport.devicePixelRatio);
    for (const { row, missing, pieces } of rows)
      for (const { left, right } of tables === null ? [...missing, ...pieces] : missing)
        this.context.fillRect(left, rowTopDevicePx(scene.viewport, row), right - left, height);
  }

  private drawLines({ viewport, scale }: Scene, rows: readonly Row[], tables: ColourTables): void {
    const width = viewport.widthDevicePx;
    if (this.image?.width !== width || this.image.height !== rows.length) {
      this.image = new ImageData(width, rows.length);
      this.lines.canvas.width = width;
      this.lines.canvas.height = rows.length;
    }
    const words = new Uint32Array(this.image.data.buffer);
    words.fill(0);
    const cellOfColumn = cellOfColumns(scale);
    rows.forEach((row, i) => {
      paintLine(words.subarray(i * width, (i + 1) * width), row, scale, cellOfColumn, tables);
    });
    this.lines.putImageData(this.image, 0, 0);
    const top = rowTopDevicePx(viewport, rows[0]?.row ?? 0);
    const height = rows.length * rowDevicePx(viewport.devicePixelRatio);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(this.lines.canvas, 0, 0, width, rows.length, 0, top, width, height);
  }

  private drawGaps({ viewport }: Scene, rows: readonly Row[], palette: Palette): void {
    this.context.fillStyle = palette.background;
    const gap = gapDevicePx(viewport.devicePixelRatio);
    for (const { row } of rows)
      this.context.fillRect(0, rowTopDevicePx(viewport, row + 1) - gap, viewport.widthDevicePx, gap);
  }

  private drawMark(signs: Signs, { viewport }: Scene, mark: Mark, palette: Palette): void {
    const ratio = viewport.devicePixelRatio;
    const top = rowTopDevicePx(viewport, mark.row);
    const height = rowDevicePx(ratio) - gapDevicePx(ratio);
    if (mark.kind === 'noGradient') {
      signs.hatch(mark, top, height, palette.hatch);
    } else if (mark.kind === 'incomplete') {
      const line = Math.round(2 * ratio);
      this.context.fillStyle = palette.incomplete;
      this.context.fillRect(mark.left, top + height - line, mark.right - mark.left, line);
    } else {
      const alone = mark.cells === 1 && signs.hasRoom(mark.right - mark.left);
      signs.nonFinite(mark, top, height, alone ? signOf(mark.flags) : null);
    }
  }
}

/** Rows are a hair apart, or a tall block of one colour would read as one row. */
function gapDevicePx(devicePixelRatio: number): number {
  return Math.max(1, Math.round(devicePixelRatio));
}

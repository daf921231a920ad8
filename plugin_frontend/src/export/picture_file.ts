import type { Alerts } from '../alerts/alerts.ts';
import type { AlertMark } from '../alerts/alert_marks.ts';
import { GRADES, LOOKS } from '../alerts/kinds.ts';
import { drawAlertMarks, marksInView } from '../alerts/marks_view.tsx';
import { NON_FINITE, cssColour, rampColour, zeroColour } from '../colours.ts';
import { formatCount, formatSteps, formatValue, shortened } from '../format.ts';
import { Heatmap } from '../heatmap.ts';
import type { LinkedRun } from '../linked.ts';
import { drawAbsent } from '../linked_painter.ts';
import { type Scene, rowsOf } from '../picture.ts';
import { position, rangeTicks, zeroIsApart } from '../ranges.ts';
import { type StepWindow, devicePxAt, stepTicks } from '../scales.ts';
import { SIGN_PATHS, contextOf } from '../signs.ts';
import type { Store } from '../store.ts';
import { PALETTES, type Theme } from '../theme.ts';
import { rowDevicePx, rowTopDevicePx, rowsInView } from '../viewport.ts';
import { rowNames } from './view.ts';

/** Lengths of the layout in CSS pixels. */
const MARGIN = 16;
const NAMES = 240;
const HEAD = 118;
const PANEL_HEAD = 44;
const RAMP = 230;
const TICK_GAP = 90;
const MOST_CHARACTERS = 200;
const FONT = "Roboto, 'Segoe UI', system-ui, 'Helvetica Neue', Arial, sans-serif";

/** Writes on a canvas in CSS pixels, each text at most as wide as it may be. */
class Pen {
  constructor(
    readonly context: CanvasRenderingContext2D,
    readonly ratio: number,
    private readonly colours: { text: string; quiet: string },
  ) {}

  text(text: string, x: number, y: number, widest: number, look: Look = {}): number {
    const { size = 13, bold = false, quiet = false, align = 'left' } = look;
    this.context.font = `${bold ? '600 ' : ''}${size * this.ratio}px ${FONT}`;
    this.context.fillStyle = quiet ? this.colours.quiet : this.colours.text;
    this.context.textAlign = align;
    this.context.textBaseline = 'middle';
    const shown = this.fitted(printable(text), widest * this.ratio);
    this.context.fillText(shown, x * this.ratio, y * this.ratio);
    return this.context.measureText(shown).width / this.ratio;
  }

  private fitted(text: string, widest: number): string {
    const fits = (one: string) => this.context.measureText(one).width <= widest;
    if (fits(text)) return text;
    let [low, high] = [4, Math.min(text.length, MOST_CHARACTERS)];
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (fits(shortened(text, middle))) low = middle;
      else high = middle;
    }
    return shortened(text, low);
  }

  box(x: number, y: number, width: number, height: number, colour: string): void {
    this.context.fillStyle = colour;
    this.context.fillRect(x * this.ratio, y * this.ratio, width * this.ratio, height * this.ratio);
  }
}

interface Look {
  size?: number;
  bold?: boolean;
  quiet?: boolean;
  align?: CanvasTextAlign;
}

/** Controls and marks of direction would reorder or break what stands around a name. */
export function printable(name: string): string {
  return name.slice(0, 4 * MOST_CHARACTERS).replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ');
}

/**
 * The view as a picture at the screen's resolution: caption, legend, axis, names, heatmap and marks of alerts, and the
 * heatmap of a second run.
 */
export function drawPicture(
  store: Store,
  linked: LinkedRun,
  alerts: Alerts,
  theme: Theme,
): HTMLCanvasElement | null {
  const [scene, second] = [store.scene.peek(), linked.scene.peek()];
  if (scene === null) return null;
  const ratio = scene.viewport.devicePixelRatio;
  const [firstRow, endRow] = rowsInView(scene.viewport, scene.nodes.length);
  const marks = marksInView(store, alerts).peek();
  const panels = [
    { scene, marks, name: store.meta.peek()?.label ?? '' },
    ...(second === null ? [] : [{ scene: second, marks: [], name: linked.meta.peek()?.label ?? '' }]),
  ];
  const widthCssPx = scene.viewport.widthDevicePx / ratio;
  const rowsEnd = rowTopDevicePx(scene.viewport, endRow);
  const heightCssPx = Math.min(scene.viewport.heightDevicePx, Math.max(rowsEnd, 1)) / ratio;
  const canvas = document.createElement('canvas');
  canvas.width = Math.round((2 * MARGIN + NAMES + panels.length * (widthCssPx + MARGIN)) * ratio);
  canvas.height = Math.round((2 * MARGIN + HEAD + PANEL_HEAD + heightCssPx) * ratio);
  const palette = PALETTES[theme];
  const context = contextOf(canvas, { alpha: false });
  const pen = new Pen(context, ratio, {
    text: theme === 'dark' ? '#e6e8eb' : '#202124',
    quiet: palette.quiet,
  });
  context.fillStyle = palette.background;
  context.fillRect(0, 0, canvas.width, canvas.height);
  drawCaption(pen, store, canvas.width / ratio);
  drawLegend(pen, store, panels.length > 1);
  drawAlertLegend(pen, marks);
  const top = MARGIN + HEAD + PANEL_HEAD;
  context.save();
  context.beginPath();
  context.rect(0, top * ratio, canvas.width, heightCssPx * ratio);
  context.clip();
  rowNames(store, firstRow, endRow).forEach((name, i) => {
    const y = (rowTopDevicePx(scene.viewport, firstRow + i) + rowDevicePx(ratio) / 2) / ratio;
    pen.text(name, MARGIN, top + y, NAMES - 12, { size: 12 });
  });
  context.restore();
  panels.forEach((panel, i) => {
    const left = MARGIN + NAMES + i * (widthCssPx + MARGIN);
    const letter = panels.length > 1 ? `${'AB'.charAt(i)}  ` : '';
    pen.text(letter + panel.name, left, MARGIN + HEAD + 8, widthCssPx, { bold: true });
    drawAxis(pen, panel.scene, left, top);
    const image = heatmapOf(store, panel.scene, panel.marks, theme);
    const [x, y] = [Math.round(left * ratio), Math.round(top * ratio)];
    const height = Math.round(heightCssPx * ratio);
    context.drawImage(image, 0, 0, image.width, height, x, y, image.width, height);
  });
  return canvas;
}

function heatmapOf(store: Store, scene: Scene, marks: readonly AlertMark[], theme: Theme): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  new Heatmap(canvas).draw(scene, rowsOf(scene), store.tables.peek(), PALETTES[theme]);
  drawAbsent(canvas, scene, PALETTES[theme]);
  if (marks.length === 0) return canvas;
  const upon = document.createElement('canvas');
  [upon.width, upon.height] = [canvas.width, canvas.height];
  drawAlertMarks(contextOf(upon), marks, scene.viewport.devicePixelRatio);
  contextOf(canvas).drawImage(upon, 0, 0);
  return canvas;
}

function drawCaption(pen: Pen, store: Store, widthCssPx: number): void {
  const [metric, view, stream] = [store.metric.peek(), store.view.peek(), store.stream.peek()];
  const widest = widthCssPx - 2 * MARGIN;
  const [scale, extent] = [store.scale.peek(), store.extent.peek()];
  pen.text(`${metric?.label ?? ''}, ${view?.label ?? ''}`, MARGIN, MARGIN + 10, widest, {
    size: 16,
    bold: true,
  });
  const about = [
    stream?.label ?? '',
    metric?.meaning ?? '',
    scale === null || extent === null ? '' : stepsIn(scale, extent.steps),
  ];
  const told = about.filter((part) => part !== '').join(' · ');
  pen.text(told, MARGIN, MARGIN + 34, widest, { quiet: true });
}

function stepsIn({ start, end }: StepWindow, [first, stop]: readonly [number, number]): string {
  return formatSteps(Math.max(first, Math.floor(start)), Math.min(stop, Math.ceil(end)));
}

function drawLegend(pen: Pen, store: Store, shared: boolean): void {
  const [range, metric, map] = [store.range.peek(), store.metric.peek(), store.colourMap.peek()];
  if (range === null || metric === null) return;
  const top = MARGIN + 58;
  let x = MARGIN;
  if (zeroIsApart(range)) {
    pen.box(x, top, 14, 14, cssColour(zeroColour(range)));
    pen.text('0', x + 19, top + 7, 20, { size: 12 });
    x += 50;
  }
  for (let i = 0; i < RAMP; i++) pen.box(x + i, top, 1.5, 14, cssColour(rampColour(map, i / (RAMP - 1))));
  for (const value of rangeTicks(range, 5)) {
    const at = x + RAMP * position(range, value);
    pen.box(at, top + 14, 1, 4, PALETTES.light.quiet);
    pen.text(formatValue(value, range.kind, 2), at, top + 26, 60, { size: 11, align: 'center' });
  }
  x += RAMP + 24;
  const unit = shared ? `${metric.unit} · same colours in A and B` : metric.unit;
  x += pen.text(unit, x, top + 7, 240, { size: 12, quiet: true }) + 24;
  for (const [signs, words] of [
    [['nan'], 'NaN'],
    [['posInf', 'negInf'], '±Inf'],
  ] as const) {
    for (const sign of signs) {
      drawSign(pen, SIGN_PATHS[sign], x, top);
      x += 18;
    }
    x += pen.text(words, x + 2, top + 7, 60, { size: 12 }) + 20;
  }
  pen.text(`hatched: no ${store.what.peek()}`, x, top + 7, 200, { size: 12 });
}

/** The shapes of the severities that are marked, below the signs. */
function drawAlertLegend(pen: Pen, marks: readonly AlertMark[]): void {
  const marked = new Set(marks.flatMap(({ alerts }) => alerts.map(({ severity }) => severity)));
  let x = MARGIN + 50 + RAMP + 24;
  for (const severity of GRADES.filter((one) => marked.has(one))) {
    const { word, shape, fill } = LOOKS[severity];
    const { context, ratio } = pen;
    context.save();
    context.scale(ratio, ratio);
    context.translate(x, MARGIN + 80);
    context.fillStyle = fill;
    context.fill(new Path2D(shape));
    context.restore();
    x += 16;
    x += pen.text(word, x, MARGIN + 85, 90, { size: 12 }) + 16;
  }
}

function drawSign({ context, ratio }: Pen, path: string, x: number, y: number): void {
  context.save();
  context.scale(ratio, ratio);
  context.fillStyle = cssColour(NON_FINITE);
  context.fillRect(x, y, 14, 14);
  context.translate(x + 3, y + 3);
  context.strokeStyle = '#ffffff';
  context.lineWidth = 1.8;
  context.lineCap = 'round';
  context.stroke(new Path2D(path));
  context.restore();
}

function drawAxis(pen: Pen, { scale, viewport }: Scene, left: number, top: number): void {
  const ratio = viewport.devicePixelRatio;
  for (const step of stepTicks(scale, TICK_GAP * ratio)) {
    const x = devicePxAt(scale, step) / ratio;
    if (x > viewport.widthDevicePx / ratio - 30) continue;
    pen.box(left + x, top - 12, 1, 12, PALETTES.light.quiet);
    pen.text(formatCount(step), left + x + 4, top - 10, TICK_GAP - 8, { size: 11, quiet: true });
  }
  const end = left + viewport.widthDevicePx / ratio;
  pen.text('step', end, top - 10, 40, { size: 11, quiet: true, align: 'right' });
}

import type { Overview } from '../contract.ts';
import { type Place, edgeMarks, nonFiniteFlags } from '../lines/bands.ts';
import { type Look, drawBand, drawNonFinite, drawTriangles } from '../lines/draw.ts';
import { heightOf } from '../lines/value_scale.ts';
import { type StepScale, devicePxAt } from '../scales.ts';
import { contextOf } from '../signs.ts';
import { type Group, scaleOf } from './groups.ts';

const MARK_GAP_CSS_PX = 8;
/** Lines keep clear of the row's edges and of the marks there. */
const TOP_CSS_PX = 4;
const BOTTOM_CSS_PX = 3;

/** A picture that is stretched or squeezed further is drawn anew, even amid a movement. */
export const MOST_STRETCH = 4;

export interface SparklineColours {
  readonly bad: string;
  readonly skipped: string;
}

/** Draws a group's lines on the heatmap's step axis; `ticks` adds the skipped steps at the lower edge. */
export function drawSparkline(
  canvas: HTMLCanvasElement,
  heightCssPx: number,
  scale: StepScale,
  ratio: number,
  { edges, skipped }: Overview,
  group: Group,
  ticks: boolean,
  looks: readonly Look[],
  colours: SparklineColours,
): void {
  canvas.width = scale.widthDevicePx;
  canvas.height = Math.round(heightCssPx * ratio);
  const context = contextOf(canvas);
  const values = scaleOf(group);
  const [top, bottom] = [TOP_CSS_PX * ratio, canvas.height - BOTTOM_CSS_PX * ratio];
  const place: Place = {
    x: (step) => devicePxAt(scale, step),
    y: (value) => bottom - heightOf(values, value) * (bottom - top),
  };
  group.series.forEach((series, i) => {
    const look = looks[i % looks.length];
    if (look !== undefined) drawBand(context, edges, series, place, look, ratio);
  });
  const badOf = (cell: number) => group.series.reduce((all, band) => all | nonFiniteFlags(band, cell), 0);
  const gap = MARK_GAP_CSS_PX * ratio;
  drawNonFinite(context, edgeMarks(edges, badOf, place.x, gap), ratio, colours.bad, ratio);
  if (!ticks) return;
  const skips = edgeMarks(edges, (cell) => skipped[cell] ?? 0, place.x, gap);
  drawTriangles(context, skips, canvas.height, 'up', colours.skipped, ratio);
}

/** How many times wider or narrower the steps of one scale are on another. */
export function stretchOf(drawn: StepScale, shown: StepScale): number {
  const factor = perDevicePx(drawn) / perDevicePx(shown);
  return drawn.widthDevicePx === shown.widthDevicePx ? Math.max(factor, 1 / factor) : Infinity;
}

function perDevicePx({ start, end, widthDevicePx }: StepScale): number {
  return (end - start) / widthDevicePx;
}

/** What lays a picture that was drawn for one scale on another, around its left edge; '' where they are the same. */
export function transformOf(drawn: StepScale, shown: StepScale, ratio: number): string {
  const [left, right] = [devicePxAt(shown, drawn.start), devicePxAt(shown, drawn.end)];
  if (left === 0 && right === shown.widthDevicePx) return '';
  return `translateX(${left / ratio}px) scaleX(${(right - left) / drawn.widthDevicePx})`;
}

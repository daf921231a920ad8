import { SIGN_PATHS, signOf } from '../signs.ts';
import { type Band, type EdgeMark, type Outline, type Place, bandsOf, stairsOf } from './bands.ts';

/** Colour and dashes, so that lines can be told apart without colour; lengths in CSS pixels. */
export interface Look {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly widthCssPx: number;
}

const SIGN_CSS_PX = 7;
/** Of narrower cells, a line is filled box by box. */
const DENSE_CSS_PX = 4;

/** Draws a band and its mean; `ratio` is device pixels for each CSS pixel. */
export function drawBand(
  context: CanvasRenderingContext2D,
  edges: readonly number[],
  band: Band,
  place: Place,
  look: Look,
  ratio: number,
): void {
  const area = pathOf(bandsOf(edges, band, place));
  context.save();
  context.fillStyle = context.strokeStyle = look.colour;
  context.lineJoin = 'bevel';
  context.globalAlpha = 0.22;
  context.fill(area);
  // A spike of one step may be a pixel wide: its filling alone would be too faint to see.
  context.globalAlpha = 0.65;
  context.lineWidth = Math.max(1, 0.8 * ratio);
  context.stroke(area);
  context.globalAlpha = 1;
  const [width, dash] = [look.widthCssPx * ratio, look.dash.map((length) => length * ratio)];
  const stairs = stairsOf(edges, band.mean, place);
  if (cellDevicePx(edges, place) < DENSE_CSS_PX * ratio) {
    for (const outline of stairs) fillStairs(context, outline, width, dash);
  } else {
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke(pathOf(stairs));
  }
  context.restore();
}

function cellDevicePx(edges: readonly number[], { x }: Place): number {
  return (x(edges.at(-1) ?? 0) - x(edges[0] ?? 0)) / Math.max(1, edges.length - 1);
}

/**
 * Stairs as one box for each tread and riser: a wide stroke around a thousand corners takes ten times as long. The dashes
 * follow the steps, for along the risers of a noisy line they could not be told.
 */
function fillStairs(
  context: CanvasRenderingContext2D,
  outline: Outline,
  width: number,
  dash: readonly number[],
): void {
  const half = width / 2;
  for (let i = 2; i < outline.length; i += 2) {
    const [x, y, nextX, nextY] = outline.slice(i - 2, i + 2) as [number, number, number, number];
    if (!isInked(dash, x)) continue;
    const top = Math.min(y, nextY) - (x === nextX ? 0 : half);
    const left = x - (x === nextX ? half : 0);
    const [across, down] = x === nextX ? [width, Math.abs(nextY - y)] : [nextX - x, width];
    context.fillRect(left, top, across, down);
  }
}

/** Whether a dashed line that began at 0 has ink at a place; one without dashes has it everywhere. */
export function isInked(dash: readonly number[], at: number): boolean {
  const period = dash.reduce((sum, length) => sum + length, 0);
  if (period === 0) return true;
  let left = ((at % period) + period) % period;
  for (const [i, length] of dash.entries()) {
    if (left < length) return i % 2 === 0;
    left -= length;
  }
  return true;
}

function pathOf(outlines: readonly Outline[]): Path2D {
  const path = new Path2D();
  for (const outline of outlines)
    for (let i = 0; i < outline.length; i += 2) {
      if (i === 0) path.moveTo(outline[0] ?? 0, outline[1] ?? 0);
      else path.lineTo(outline[i] ?? 0, outline[i + 1] ?? 0);
    }
  return path;
}

/** NaN and infinities by shape, as on the heatmap, side by side from `top` down. */
export function drawNonFinite(
  context: CanvasRenderingContext2D,
  marks: readonly EdgeMark[],
  top: number,
  colour: string,
  ratio: number,
): void {
  for (const { at, flags } of marks) {
    context.save();
    context.translate(at - (SIGN_CSS_PX / 2) * ratio, top);
    context.scale((SIGN_CSS_PX / 8) * ratio, (SIGN_CSS_PX / 8) * ratio);
    context.strokeStyle = colour;
    context.lineWidth = 1.8;
    context.lineCap = 'round';
    context.stroke(new Path2D(SIGN_PATHS[signOf(flags)]));
    context.restore();
  }
}

/** Triangles that stand on `bottom`: pointing down for what lies below the scale, up for a tick. */
export function drawTriangles(
  context: CanvasRenderingContext2D,
  marks: readonly EdgeMark[],
  bottom: number,
  points: 'down' | 'up',
  colour: string,
  ratio: number,
): void {
  const [half, height] = [3.5 * ratio, 6 * ratio];
  context.fillStyle = colour;
  for (const { at } of marks) {
    const [base, tip] = points === 'down' ? [bottom - height, bottom] : [bottom, bottom - height];
    context.beginPath();
    context.moveTo(at - half, base);
    context.lineTo(at + half, base);
    context.lineTo(at, tip);
    context.fill();
  }
}

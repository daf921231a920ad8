import { NON_FINITE, cssColour } from './colours.ts';
import type { Span } from './picture.ts';
import { FLAG_NAN, FLAG_NEG_INF, FLAG_POS_INF } from './tiles.ts';

/** A non-finite cell is never narrower than this, whatever its width, so that no zoom loses it. */
const LEAST_DEVICE_PX = 3;

/** Cells at least this wide carry a sign each; narrower ones side by side share a hatch. */
const SIGN_CSS_PX = 10;

const SIGN = '#ffffff';

export type Sign = 'nan' | 'posInf' | 'negInf' | 'bothInf';

/** The strokes of each sign in a square of side 8: a cross, an arrow head up or down, a rhombus. */
export const SIGN_PATHS: Record<Sign, string> = {
  nan: 'M0 0L8 8M8 0L0 8',
  posInf: 'M0 6L4 2L8 6',
  negInf: 'M0 2L4 6L8 2',
  bothInf: 'M4 0L8 4L4 8L0 4Z',
};

/** NaN wins over infinities, as it is what spreads. */
export function signOf(flags: number): Sign {
  if ((flags & FLAG_NAN) !== 0) return 'nan';
  if ((flags & FLAG_POS_INF) === 0) return 'negInf';
  return (flags & FLAG_NEG_INF) === 0 ? 'posInf' : 'bothInf';
}

/** At least LEAST_DEVICE_PX of a cell's span, and all of it on the canvas. */
export function widened({ left, right }: Span, widthDevicePx: number): Span {
  const extra = LEAST_DEVICE_PX - (right - left);
  if (extra <= 0) return { left, right };
  const start = Math.max(0, Math.min(left - Math.ceil(extra / 2), widthDevicePx - LEAST_DEVICE_PX));
  return { left: start, right: start + LEAST_DEVICE_PX };
}

/** Draws on cells; patterns and signs are made once for each device pixel ratio. */
export class Signs {
  private readonly signs = new Map<Sign, HTMLCanvasElement>();
  private readonly hatches = new Map<string, CanvasPattern | null>();

  constructor(
    private readonly context: CanvasRenderingContext2D,
    readonly devicePixelRatio: number,
  ) {}

  /** One or more adjacent non-finite cells; `sign` is null where they are too narrow for one each. */
  nonFinite(span: Span, top: number, height: number, sign: Sign | null): void {
    const { left, right } = widened(span, this.context.canvas.width);
    this.context.fillStyle = cssColour(NON_FINITE);
    this.context.fillRect(left, top, right - left, height);
    if (sign !== null) {
      const image = this.signImage(sign);
      const x = Math.round((left + right - image.width) / 2);
      this.context.drawImage(image, x, top + Math.round((height - image.height) / 2));
    } else if (right - left >= SIGN_CSS_PX * this.devicePixelRatio) {
      this.hatch({ left, right }, top, height, SIGN, 1.5);
    }
  }

  hasRoom(widthDevicePx: number): boolean {
    return widthDevicePx >= SIGN_CSS_PX * this.devicePixelRatio;
  }

  hatch({ left, right }: Span, top: number, height: number, colour: string, lineCssPx = 1): void {
    const pattern = this.hatchPattern(colour, lineCssPx);
    if (pattern === null) return;
    this.context.fillStyle = pattern;
    this.context.fillRect(left, top, right - left, height);
  }

  private signImage(sign: Sign): HTMLCanvasElement {
    const known = this.signs.get(sign);
    if (known !== undefined) return known;
    const { canvas, context } = blank(Math.round(SIGN_CSS_PX * 0.8 * this.devicePixelRatio));
    // The path is drawn a little smaller than the image, which leaves room for the round ends of its strokes.
    context.scale(canvas.width / 11, canvas.height / 11);
    context.translate(1.5, 1.5);
    context.strokeStyle = SIGN;
    context.lineWidth = 2.2;
    context.lineCap = 'round';
    context.stroke(new Path2D(SIGN_PATHS[sign]));
    this.signs.set(sign, canvas);
    return canvas;
  }

  private hatchPattern(colour: string, lineCssPx: number): CanvasPattern | null {
    const key = `${colour} ${lineCssPx}`;
    const known = this.hatches.get(key);
    if (known !== undefined) return known;
    const side = Math.round(6 * this.devicePixelRatio);
    const { canvas, context } = blank(side);
    context.strokeStyle = colour;
    context.lineWidth = lineCssPx * this.devicePixelRatio;
    context.beginPath();
    // Three parallels, for the corners of the square belong to its neighbours' lines.
    for (const shift of [-side, 0, side]) {
      context.moveTo(shift - 1, side + 1);
      context.lineTo(shift + side + 1, -1);
    }
    context.stroke();
    const pattern = this.context.createPattern(canvas, 'repeat');
    this.hatches.set(key, pattern);
    return pattern;
  }
}

function blank(side: number): { canvas: HTMLCanvasElement; context: CanvasRenderingContext2D } {
  const canvas = document.createElement('canvas');
  canvas.width = side;
  canvas.height = side;
  return { canvas, context: contextOf(canvas) };
}

export function contextOf(canvas: HTMLCanvasElement, options?: CanvasRenderingContext2DSettings) {
  const context = canvas.getContext('2d', options);
  if (context === null)
    throw new Error('expected a 2d canvas, got none: this browser has canvas switched off');
  return context;
}

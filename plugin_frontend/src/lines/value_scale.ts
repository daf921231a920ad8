import type { Metric } from '../contract.ts';
import { niceAbove } from '../scales.ts';
import type { Band } from './bands.ts';

/** `symlog` is linear around zero and logarithmic beyond, for figures of both signs. */
export interface ValueScale {
  readonly kind: Metric['scale'] | 'symlog';
  readonly lo: number;
  readonly hi: number;
  /** Where a symlog scale turns from linear to logarithmic. */
  readonly linearBelow: number;
}

/** Anything smaller counts as zero: its inverse would not be a number. */
const LEAST = 1e-300;

/** A symlog scale shows no more decades on either side of zero. */
const MOST_DECADES = 6;

/** A magnitude's linear scale begins at zero, or a small change would look like a large one. */
export function valueScale(kind: ValueScale['kind'], fromZero: boolean, bands: readonly Band[]): ValueScale {
  const extent = extentOf(bands);
  if (kind === 'log') return logScale(extent);
  return kind === 'symlog' ? symlogScale(extent) : linearScale(extent, fromZero);
}

interface Extent {
  readonly lowest: number;
  readonly highest: number;
  readonly leastPositive: number;
  readonly leastSize: number;
}

function extentOf(bands: readonly Band[]): Extent {
  let [lowest, highest, leastPositive, leastSize] = [Infinity, -Infinity, Infinity, Infinity];
  for (const { mean, min, max } of bands)
    for (const values of [mean, min, max])
      for (const value of values) {
        if (value === null || !Number.isFinite(value)) continue;
        lowest = Math.min(lowest, value);
        highest = Math.max(highest, value);
        if (value >= LEAST) leastPositive = Math.min(leastPositive, value);
        if (Math.abs(value) >= LEAST) leastSize = Math.min(leastSize, Math.abs(value));
      }
  return { lowest, highest, leastPositive, leastSize };
}

function logScale({ highest, leastPositive }: Extent): ValueScale {
  const [lo, hi] = leastPositive === Infinity ? [0.1, 1] : [niceBelow(leastPositive), niceAbove(highest)];
  // The same power of ten from above and below may differ in the last digit.
  return { kind: 'log', lo, hi: hi > 1.5 * lo ? hi : lo * 10, linearBelow: 0 };
}

function linearScale({ lowest, highest }: Extent, fromZero: boolean): ValueScale {
  if (lowest > highest) return { kind: 'linear', lo: 0, hi: 1, linearBelow: 0 };
  const [least, most] = fromZero ? [Math.min(0, lowest), Math.max(0, highest)] : [lowest, highest];
  const room = (most - least) * 0.05 || Math.abs(most) * 0.1 || 1;
  return {
    kind: 'linear',
    lo: fromZero && least === 0 ? 0 : least - room,
    hi: fromZero && most === 0 ? 0 : most + room,
    ...(fromZero && least === most && { lo: 0, hi: 1 }),
    linearBelow: 0,
  };
}

function symlogScale({ lowest, highest, leastSize }: Extent): ValueScale {
  if (leastSize === Infinity) return { kind: 'symlog', lo: -1, hi: 1, linearBelow: 1 };
  const largest = niceAbove(Math.max(-lowest, highest));
  return {
    kind: 'symlog',
    lo: lowest < 0 ? -niceAbove(-lowest) : 0,
    hi: highest > 0 ? niceAbove(highest) : 0,
    linearBelow: Math.max(niceBelow(leastSize), largest / 10 ** MOST_DECADES),
  };
}

/** The largest 1, 2 or 5 times a power of ten that is not above a positive value. */
function niceBelow(value: number): number {
  return 1 / niceAbove(1 / value);
}

/** Where a value stands between the ends, from 0 to 1. A log scale has its zero at the lower end. */
export function heightOf(scale: ValueScale, value: number): number {
  const [least, most, here] = [scale.lo, scale.hi, value].map((one) => stretched(scale, one)) as [
    number,
    number,
    number,
  ];
  return Math.min(1, Math.max(0, (here - least) / (most - least)));
}

function stretched({ kind, linearBelow }: ValueScale, value: number): number {
  if (kind === 'linear') return value;
  return kind === 'log' ? Math.log10(Math.max(value, Number.MIN_VALUE)) : Math.asinh(value / linearBelow);
}

/** Whether the scale has no place for a value. */
export function hasNoPlace({ kind }: ValueScale, value: number | null | undefined): boolean {
  return kind === 'log' && value !== null && value !== undefined && value < LEAST;
}

/** At most so many decades have a tick of their own; of fewer than two, 2 and 5 have one as well. */
const MOST_TICKS = 7;

/** Values at which to put ticks, rising, all on the scale. */
export function valueTicks(scale: ValueScale): number[] {
  const { kind, lo, hi, linearBelow } = scale;
  if (kind === 'linear') return linearTicks(lo, hi);
  if (kind === 'log') return decades(lo, hi);
  const above = hi > linearBelow ? decades(linearBelow, hi, 3) : [];
  const below = -lo > linearBelow ? decades(linearBelow, -lo, 3) : [];
  return [...below.map((value) => -value).reverse(), 0, ...above];
}

function linearTicks(lo: number, hi: number): number[] {
  const gap = niceAbove((hi - lo) / 5);
  const first = Math.ceil(lo / gap - 1e-9);
  const count = Math.floor(hi / gap + 1e-9) - first + 1;
  // A multiple of 0.1 has digits that only its rounding takes away again.
  return Array.from({ length: count }, (_, i) => Number(((first + i) * gap).toPrecision(12)));
}

function decades(lo: number, hi: number, most = MOST_TICKS): number[] {
  const [first, last] = [Math.floor(Math.log10(lo)), Math.ceil(Math.log10(hi))];
  const every = Math.max(1, Math.ceil((last - first) / most));
  const digits = last - first <= 2 && most === MOST_TICKS ? [1, 2, 5] : [1];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
    .filter((power) => power % every === 0)
    .flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
    .filter((value) => value >= lo * (1 - 1e-9) && value <= hi * (1 + 1e-9));
}

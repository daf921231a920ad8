import type { Kind, ScaleName } from './contract.ts';
import { niceAbove } from './scales.ts';

/** A log scale shows no more decades than this: a few dead tensors must not squeeze all others into one colour. */
const MOST_DECADES = 9;

/** Values that a robust range is made of at most: enough for its percentiles, few enough to sort within a frame. */
export const SAMPLE = 20_000;

/** A diverging scale reaches at least to this factor of its centre: less is the rounding of bf16. */
const LEAST_FACTOR = 1.1;

/**
 * What the ends of the colour ramp stand for. For signed metrics it runs from −hi over 0 to hi, except on a diverging
 * scale, which runs from lo to hi around whatever centre.
 */
export interface Range {
  readonly kind: Kind;
  readonly scale: ScaleName;
  /** Smallest magnitude with a colour of its own; 0 on a signed linear scale. */
  readonly lo: number;
  readonly hi: number;
}

/** All scales' ranges from the same values, so that switching the scale does not rescale by later data. */
export type Ranges = Readonly<Record<ScaleName, Range>>;

type ScaleOf = Pick<Range, 'kind' | 'scale'>;

/** Whether equal distances on the ramp are equal factors; else they are equal differences. */
export function inFactors({ kind, scale }: ScaleOf): boolean {
  return scale === 'log' || (scale === 'diverging' && (kind === 'magnitude' || kind === 'count'));
}

/** Whether the ramp has the same on both sides of 0. */
export function isMirrored({ kind, scale }: ScaleOf): boolean {
  return kind === 'signed' && scale !== 'diverging';
}

/** Whether 0 has no place on the ramp, and so a colour of its own. */
export function zeroIsApart(scale: ScaleOf): boolean {
  return inFactors(scale) && !isMirrored(scale);
}

/** Where a value lies on the ramp, from 0 to 1; values beyond the ends take the end's colour. */
export function position(range: Range, value: number): number {
  return Math.min(1, Math.max(0, placeOf(range, value)));
}

/** Where a value lies on the ramp, 0 at its low end and 1 at its high end, and beyond them for values out of range. */
export function placeOf(range: Range, value: number): number {
  if (!isMirrored(range)) return along(range, value);
  return (1 + Math.sign(value) * Math.max(0, along(range, Math.abs(value)))) / 2;
}

function along(range: Range, value: number): number {
  const { lo, hi } = range;
  return inFactors(range) ? Math.log(value / lo) / Math.log(hi / lo) : (value - lo) / (hi - lo);
}

/** The value at a place of the ramp: the inverse of `placeOf`. */
export function valueAt(range: Range, place: number): number {
  const { lo, hi } = range;
  const at = (t: number) => (inFactors(range) ? lo * (hi / lo) ** t : lo + (hi - lo) * t);
  if (!isMirrored(range)) return at(place);
  const t = 2 * place - 1;
  return t === 0 ? 0 : Math.sign(t) * at(Math.abs(t));
}

/**
 * Robust ranges: a single spike does not wash out the rest, it shows in the end's colour. Without any finite value
 * they are only something to draw with.
 */
export function robustRanges(kind: Kind, values: Float64Array): Ranges & { fromData: boolean } {
  const finite = values.filter(Number.isFinite);
  const sizes = kind === 'signed' ? finite.map(Math.abs).sort() : finite.sort();
  // Each when it is first asked for: the first picture shows one of them.
  const known: Partial<Record<ScaleName, Range>> = {};
  return {
    get log() {
      return (known.log ??= logRange(kind, sizes));
    },
    get linear() {
      return (known.linear ??= linearRange(kind, sizes));
    },
    get diverging() {
      return (known.diverging ??= divergingRange(kind, sizes));
    },
    fromData: sizes.length > 0,
  };
}

function quantile(sorted: Float64Array, q: number): number | undefined {
  return sorted[Math.round(q * (sorted.length - 1))];
}

function logRange(kind: Kind, sorted: Float64Array): Range {
  const positive = sorted.filter((value) => value > 0);
  const high = quantile(positive, 0.995) ?? 1;
  const low = quantile(positive, kind === 'signed' ? 0.1 : 0.01) ?? high;
  const hi = clampFraction(kind, niceAbove(high));
  // At least one decade, or rounding noise would look like a pattern.
  const lo = niceBelow(Math.min(Math.max(low, hi / 10 ** MOST_DECADES), hi / 10));
  return { kind, scale: 'log', lo, hi };
}

function linearRange(kind: Kind, sorted: Float64Array): Range {
  const high = quantile(sorted, kind === 'signed' ? 0.98 : 0.995) ?? 1;
  const low = kind === 'signed' ? 0 : Math.max(0, quantile(sorted, 0.005) ?? 0);
  // Zero belongs to the picture unless the values keep well away from it.
  if (low < high / 2) return { kind, scale: 'linear', lo: 0, hi: clampFraction(kind, niceAbove(high)) };
  if (high === 0) return { kind, scale: 'linear', lo: 0, hi: 1 };
  const grain = niceAbove(Math.max(high - low, high * 1e-3) / 5);
  const lo = Math.max(0, Math.floor(low / grain) * grain);
  const hi = clampFraction(kind, Math.max(Math.ceil(high / grain), Math.round(lo / grain) + 1) * grain);
  // Half a grain: rounding may leave lo one bit below hi, a range in which no two ticks differ.
  return { kind, scale: 'linear', lo: lo < hi - grain / 2 ? lo : hi - grain, hi };
}

/** Around 0 for signed metrics, for others around the median of what is shown. */
function divergingRange(kind: Kind, sorted: Float64Array): Range {
  const factors = inFactors({ kind, scale: 'diverging' });
  const values = factors ? sorted.filter((value) => value > 0) : sorted;
  const centre = kind === 'signed' ? 0 : (quantile(values, 0.5) ?? 1);
  const distances = values.map((value) =>
    factors ? Math.max(value / centre, centre / value) : Math.abs(value - centre),
  );
  const far = quantile(distances.sort(), 0.98) ?? 1;
  if (factors)
    return around(
      kind,
      Number(centre.toPrecision(2)),
      niceAbove(Math.min(Math.max(2, far), 10 ** (MOST_DECADES / 2))),
    );
  const reach = niceAbove(Math.max(far, Math.abs(centre) / 1_000) || 1);
  const grain = reach / 10;
  return around(kind, Math.round(centre / grain) * grain, reach);
}

/** A diverging range that reaches as far on both sides: to a factor of the centre, or to a difference from it. */
export function around(kind: Kind, centre: number, reach: number): Range {
  const range = { kind, scale: 'diverging' } as const;
  if (!inFactors(range)) {
    // Below this, both ends would be one number.
    const least = Math.abs(centre) * 1e-9 || Number.MIN_VALUE * 2 ** 60;
    const far = Math.max(reach, least);
    return { ...range, lo: centre - far, hi: centre + far };
  }
  const factor = Math.max(reach, LEAST_FACTOR);
  return { ...range, lo: centre / factor, hi: centre * factor };
}

export function centreOf(range: Range): number {
  return valueAt(range, 0.5);
}

function clampFraction(kind: Kind, hi: number): number {
  return kind === 'fraction' ? Math.min(1, hi) : hi;
}

function niceBelow(value: number): number {
  return 1 / niceAbove(1 / value);
}

/** Values for the legend's tick labels, each at most once, from low to high. */
export function rangeTicks(range: Range, most: number): number[] {
  if (range.scale === 'diverging')
    return (most < 5 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((place) => valueAt(range, place));
  if (range.kind !== 'signed') return magnitudeTicks(range, most);
  const positive = magnitudeTicks(range, Math.max(2, Math.floor(most / 2))).filter((value) => value > 0);
  return [...positive.map((value) => -value).reverse(), 0, ...positive];
}

function magnitudeTicks({ scale, lo, hi }: Range, most: number): number[] {
  const ticks: number[] = [];
  if (scale === 'log') {
    const first = Math.ceil(Math.log10(lo) - 1e-9);
    const last = Math.floor(Math.log10(hi) + 1e-9);
    const stride = Math.max(1, Math.ceil((last - first + 1) / most));
    for (let power = first; power <= last; power += stride) ticks.push(10 ** power);
    if (ticks.length < 2) return [lo, hi];
  } else {
    const gap = niceAbove((hi - lo) / (most - 1));
    const first = Math.ceil(lo / gap - 1e-9);
    const count = Math.min(2 * most, Math.floor((hi / gap) * (1 + 1e-9)) - first + 1);
    for (let i = 0; i < count; i++) ticks.push((first + i) * gap);
  }
  return ticks;
}

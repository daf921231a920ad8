import type { ExponentBin, Histogram, NumberFormat } from '../contract.ts';
import { formatCount, formatValue } from '../format.ts';
import { type ValueScale, heightOf, valueScale } from '../lines/value_scale.ts';

/** Exponents [lo, hi) of the axis. A bin without a bound is drawn as wide as the first that has both. */
export interface ExponentAxis {
  readonly lo: number;
  readonly hi: number;
}

/** What a number format makes of a magnitude. */
export type Fate = 'zero' | 'subnormal' | 'normal' | 'overflow';

/** A part of the axis, as fractions of its width. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

export interface Bar extends Part {
  readonly share: number;
  /** Mean, least and largest share on the scale, from 0 to 1. */
  readonly height: number;
  readonly low: number;
  readonly high: number;
}

export function axisOf(bins: readonly ExponentBin[]): ExponentAxis {
  const edges = bins.flatMap(({ low, high }) => [low, high]).filter((edge) => edge !== null);
  const bounded = bins.find(({ low, high }) => low !== null && high !== null);
  const width = (bounded?.high ?? 1) - (bounded?.low ?? 0);
  const below = bins.some(({ low }) => low === null) ? width : 0;
  const above = bins.some(({ high }) => high === null) ? width : 0;
  const [least, most] = edges.length === 0 ? [0, 0] : [Math.min(...edges), Math.max(...edges)];
  return { lo: least - below, hi: most + above };
}

/** Where an exponent stands on the axis, from 0 to 1: at an end where it is beyond it. */
export function placeOf({ lo, hi }: ExponentAxis, exponent: number): number {
  return Math.min(1, Math.max(0, (exponent - lo) / (hi - lo)));
}

/** Shares of all elements up to the largest one; a logarithmic scale has none of zero. */
export function shareScale(kind: 'linear' | 'log', bins: readonly ExponentBin[]): ValueScale {
  const shares = (of: 'mean' | 'min' | 'max') => bins.map((bin) => bin[of]);
  return valueScale(kind, true, [{ mean: shares('mean'), min: shares('min'), max: shares('max') }]);
}

export function barsOf(bins: readonly ExponentBin[], axis: ExponentAxis, scale: ValueScale): Bar[] {
  const height = (share: number | null) => (share === null || share === 0 ? 0 : heightOf(scale, share));
  return bins.map(({ low, high, mean, min, max }) => ({
    from: placeOf(axis, low ?? axis.lo),
    to: placeOf(axis, high ?? axis.hi),
    share: mean ?? 0,
    height: height(mean),
    low: height(min),
    high: height(max),
  }));
}

/** What a format makes of the magnitudes along the axis, from the left. */
export function laneOf(
  { zero, normal, largest }: NumberFormat,
  axis: ExponentAxis,
): (Part & { fate: Fate })[] {
  const inner = [zero, normal, Math.log2(largest)].map((exponent) => placeOf(axis, exponent));
  const edges = [0, ...inner, 1];
  return (['zero', 'subnormal', 'normal', 'overflow'] as const)
    .map((fate, i) => ({ fate, from: edges[i] ?? 0, to: edges[i + 1] ?? 1 }))
    .filter(({ from, to }) => to > from);
}

/** Exponents for labels: multiples of a power of two, `most` of them or fewer. */
export function exponentTicks({ lo, hi }: ExponentAxis, most: number): number[] {
  let every = 1;
  while (Math.floor(hi / every) - Math.ceil(lo / every) + 1 > most) every *= 2;
  const first = Math.ceil(lo / every);
  // No label says -0.
  return Array.from({ length: Math.floor(hi / every) - first + 1 }, (_, i) => (first + i) * every + 0);
}

/** Shares of a format: those below the normal numbers that a cast rounds to zero are told apart from the others. */
export function sharesOf({
  underflow,
  subnormal,
  overflow,
}: NumberFormat): Record<Exclude<Fate, 'normal'>, number> {
  const [zero, below] = [underflow.mean ?? 0, subnormal.mean ?? 0];
  return { zero, subnormal: Math.max(0, below - zero), overflow: overflow.mean ?? 0 };
}

/** The bins that hold the middle nine tenths of what is in bins at all: the first and last, or null of nothing. */
export function middleOf(bins: readonly ExponentBin[]): [ExponentBin, ExponentBin] | null {
  const total = bins.reduce((sum, { mean }) => sum + (mean ?? 0), 0);
  const reach = (ordered: readonly ExponentBin[]) => {
    let passed = 0;
    return ordered.find(({ mean }) => (passed += mean ?? 0) > total * 0.05);
  };
  const [first, last] = [reach(bins), reach(bins.toReversed())];
  return first === undefined || last === undefined ? null : [first, last];
}

/** The largest bin, or the first one. */
export function peakOf(bins: readonly ExponentBin[]): number {
  return bins.reduce((peak, { mean }, i) => ((mean ?? 0) > (bins[peak]?.mean ?? 0) ? i : peak), 0);
}

/** Nothing was measured: no element is known, not even zeros. */
export function isEmpty({ bins }: Histogram): boolean {
  return bins.every(({ mean }) => mean === null);
}

/** How a power of two is written; or said, as screen readers tend to leave superscripts out. */
export type PowerWords = (exponent: number) => string;

export const power: PowerWords = (exponent) =>
  `2${String(exponent).replaceAll(/[-\d]/g, (sign) => SUPERSCRIPTS.charAt('-0123456789'.indexOf(sign)))}`;
export const powerAloud: PowerWords = (exponent) => `2 to the ${exponent}`;

const SUPERSCRIPTS = '⁻⁰¹²³⁴⁵⁶⁷⁸⁹';

/** A share that is not quite none or all must not read like that. */
export function percent(share: number): string {
  if (share > 0.9995 && share < 1) return '> 99.9 %';
  return share === 0 ? '0' : `${formatValue(share * 100, 'magnitude', 3)} %`;
}

export function boundsOf({ low, high }: Pick<ExponentBin, 'low' | 'high'>, power: PowerWords): string {
  if (low === null) return high === null ? 'any |x|' : `0 < |x| < ${power(high)}`;
  return high === null ? `|x| ≥ ${power(low)}` : `${power(low)} ≤ |x| < ${power(high)}`;
}

/** A bin in words, with the range of its share where several steps differ. */
export function binWords(bin: ExponentBin, words = power): string {
  const { mean, min, max } = bin;
  const range = min !== null && max !== null && min < max ? ` (${percent(min)} to ${percent(max)})` : '';
  return `${boundsOf(bin, words)}: ${percent(mean ?? 0)} of the elements${range}`;
}

/** The whole histogram in a sentence. */
export function summaryOf({ bins }: Histogram, words = power): string {
  const found = middleOf(bins);
  if (found === null) return 'No element is finite and not zero.';
  const [{ low }, { high }] = found;
  return `Nine tenths of what is not zero: ${boundsOf({ low, high }, words)}`;
}

/** The range of a format in words. */
export function rangeWords({ zero, normal, largest }: NumberFormat, words = power): string {
  const most = largest < 1e6 ? formatCount(largest) : words(Math.round(Math.log2(largest)));
  return `zero below ${words(zero)}, normal from ${words(normal)} to ${most}`;
}

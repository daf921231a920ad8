import { type Range, around, centreOf, inFactors, isMirrored, valueAt } from './ranges.ts';

export type End = 'low' | 'high';

/** Ends this close, as a factor or as a share of the larger one, are one number for a ramp of 256 colours. */
const LEAST_SPAN = 1e-6;

/** Decades that are left between the smallest coloured magnitude and the ends, where an end comes too near to it. */
const ROOM = 10;

/** The values at the ends of the ramp. */
export function endOf(range: Range, end: End): number {
  return valueAt(range, end === 'low' ? 0 : 1);
}

/**
 * The range with an end moved to a value. An end that would pass the other one pushes it along; on a ramp that is
 * symmetric, both move. A value that the scale has no place for changes nothing.
 */
export function withEnd(range: Range, end: End, value: number): Range {
  if (!Number.isFinite(value)) return range;
  if (range.scale === 'diverging') {
    const centre = centreOf(range);
    if (!inFactors(range)) return around(range.kind, centre, end === 'low' ? centre - value : value - centre);
    return value > 0 ? around(range.kind, centre, end === 'low' ? centre / value : value / centre) : range;
  }
  if (isMirrored(range)) {
    const hi = end === 'low' ? -value : value;
    if (hi <= 0) return range;
    return { ...range, lo: inFactors(range) ? Math.min(range.lo, hi / ROOM) : 0, hi };
  }
  if (value < 0 || (value === 0 && (end === 'high' || inFactors(range)))) return range;
  return end === 'low' ? withLow(range, value) : withHigh(range, value);
}

function withLow(range: Range, lo: number): Range {
  if (range.hi - lo > LEAST_SPAN * range.hi) return { ...range, lo };
  return { ...range, lo, hi: inFactors(range) ? (lo * range.hi) / range.lo : lo + (range.hi - range.lo) };
}

function withHigh(range: Range, hi: number): Range {
  if (hi - range.lo > LEAST_SPAN * hi) return { ...range, hi };
  const lo = inFactors(range) ? (hi * range.lo) / range.hi : Math.max(0, hi - (range.hi - range.lo));
  return { ...range, lo, hi };
}

/** A diverging range moved to another centre, with its reach as it was. */
export function withCentre(range: Range, centre: number): Range {
  if (!Number.isFinite(centre)) return range;
  if (!inFactors(range)) return around(range.kind, centre, (range.hi - range.lo) / 2);
  return centre > 0 ? around(range.kind, centre, Math.sqrt(range.hi / range.lo)) : range;
}

/** A symmetric log range with another smallest magnitude that has a colour of its own. */
export function withSmallest(range: Range, lo: number): Range {
  return lo > 0 && lo < range.hi * (1 - LEAST_SPAN) ? { ...range, lo } : range;
}

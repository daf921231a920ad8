import { formatCount } from '../format.ts';
import type { Spot } from './kinds.ts';

export interface Jump {
  readonly spot: Spot;
  /** From 1. */
  readonly number: number;
  readonly wrapped: boolean;
}

/**
 * What comes after (1) or before (-1) what was gone to last. Without that, or where it is gone, that is from `step`:
 * the first at it or later, the last before it. After the last comes the first.
 */
export function jumpFrom(
  inTime: readonly Spot[],
  current: string | null,
  step: number,
  direction: 1 | -1,
): Jump | null {
  const at = inTime.findIndex(({ id }) => id === current);
  const later = inTime.findIndex(({ steps }) => steps[0] >= step);
  const firstLater = later < 0 ? inTime.length : later;
  const wanted = at >= 0 ? at + direction : direction === 1 ? firstLater : firstLater - 1;
  const index = (wanted + inTime.length) % inTime.length;
  const spot = inTime[index];
  return spot === undefined ? null : { spot, number: index + 1, wrapped: wanted !== index };
}

/** What a jump tells: where in the row of all that was found one is now, and what it is. */
export function sentenceOfJump({ spot, number, wrapped }: Jump, count: number, direction: 1 | -1): string {
  const from = direction === 1 ? 'From the last back to the first. ' : 'From the first on to the last. ';
  const around = wrapped && count > 1 ? from : '';
  const what = spot.kind === undefined ? 'Finding' : 'Alert';
  return `${around}${what} ${formatCount(number)} of ${formatCount(count)}, ${spot.severity}: ${spot.text}`;
}

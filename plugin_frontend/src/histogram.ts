import { valueOf } from './colours.ts';
import { type Range, placeOf, zeroIsApart } from './ranges.ts';

const CODES = 65_536;

/** No more than this much of the range is shown on either side of it: a spike must not squeeze the rest into a line. */
const MOST_BEYOND = 0.5;

/** There is always this much to drag an end into. */
const LEAST_BEYOND = 0.08;

/** How often each bf16 code occurs [65,536]: a picture of all values, whatever scale they are seen on later. */
export interface CodeCounts {
  readonly plain: Uint32Array;
  readonly folded: Uint32Array;
}

/** Values by their place on a range's ramp. */
export interface Histogram {
  /** Places [from, to) that the bins cut evenly; values beyond are in the first and the last bin. */
  readonly from: number;
  readonly to: number;
  readonly bins: readonly number[];
  /** Values that take an end's colour, exact zeros that have a colour of their own, and all values with a colour. */
  readonly below: number;
  readonly above: number;
  readonly zeros: number;
  readonly total: number;
}

export const NO_COUNTS: CodeCounts = { plain: new Uint32Array(CODES), folded: new Uint32Array(CODES) };

/** One addition for each cell, and no arithmetic on its value: 3 million cells are counted within a frame. */
export function countCodes(runs: Iterable<{ codes: Uint16Array; folded: boolean }>): CodeCounts {
  const counts = { plain: new Uint32Array(CODES), folded: new Uint32Array(CODES) };
  for (const { codes, folded } of runs) addCodes(folded ? counts.folded : counts.plain, codes);
  return counts;
}

function addCodes(counts: Uint32Array, codes: Uint16Array): void {
  // By index: an iterator takes half as long again.
  const count = codes.length;
  for (let i = 0; i < count; i++) {
    const code = codes[i] ?? 0;
    counts[code] = (counts[code] ?? 0) + 1;
  }
}

interface Placed {
  readonly place: number;
  readonly count: number;
}

export function histogramOf({ plain, folded }: CodeCounts, range: Range, bins: number): Histogram {
  const placed: Placed[] = [];
  const apart = zeroIsApart(range);
  let zeros = 0;
  for (const [counts, isFolded] of [
    [plain, false],
    [folded, true],
  ] as const)
    for (let code = 0; code < CODES; code++) {
      const count = counts[code] ?? 0;
      if (count === 0) continue;
      const value = valueOf(code, isFolded);
      if (value === 0 && apart) zeros += count;
      else if (!Number.isNaN(value)) placed.push({ place: placeOf(range, value), count });
    }
  const sum = (those: readonly Placed[]) => those.reduce((total, { count }) => total + count, 0);
  const [from, to] = shownPlaces(placed);
  const heights = new Array<number>(bins).fill(0);
  for (const { place, count } of placed) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor((bins * (place - from)) / (to - from))));
    heights[bin] = (heights[bin] ?? 0) + count;
  }
  return {
    from,
    to,
    bins: heights,
    below: sum(placed.filter(({ place }) => place < 0)),
    above: sum(placed.filter(({ place }) => place > 1)),
    zeros,
    total: zeros + sum(placed),
  };
}

/** The range and the values beside it, as far as there is room for them. */
function shownPlaces(placed: readonly Placed[]): [number, number] {
  let [least, most] = [0, 1];
  for (const { place } of placed) {
    least = Math.min(least, place);
    most = Math.max(most, place);
  }
  return [
    Math.min(-LEAST_BEYOND, Math.max(-MOST_BEYOND, least)),
    Math.max(1 + LEAST_BEYOND, Math.min(1 + MOST_BEYOND, most + LEAST_BEYOND / 8)),
  ];
}

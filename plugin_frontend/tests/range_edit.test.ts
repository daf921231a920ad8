import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kind } from '../src/contract.ts';
import { type End, endOf, withCentre, withEnd, withSmallest } from '../src/range_edit.ts';
import {
  type Range,
  centreOf,
  inFactors,
  isMirrored,
  placeOf,
  position,
  rangeTicks,
  robustRanges,
  valueAt,
} from '../src/ranges.ts';

const kinds: fc.Arbitrary<Kind> = fc.constantFrom('magnitude', 'fraction', 'signed', 'count');
const ends: fc.Arbitrary<End> = fc.constantFrom('low', 'high');

/** Any range that the page can come to by itself. */
const ranges: fc.Arbitrary<Range> = kinds.chain((kind) =>
  fc
    .tuple(
      fc.array(fc.double({ min: 1e-20, max: kind === 'fraction' ? 1 : 1e20, noNaN: true }), {
        maxLength: 40,
      }),
      fc.constantFrom('log' as const, 'linear' as const, 'diverging' as const),
    )
    .map(([values, scale]) => robustRanges(kind, Float64Array.from(values))[scale]),
);

function expectUsable(range: Range): void {
  expect(range.lo).toBeLessThan(range.hi);
  if (inFactors(range)) expect(range.lo).toBeGreaterThan(0);
}

describe('places on the ramp', () => {
  it('are found back by their values, within the range and beyond it', () => {
    fc.assert(
      fc.property(ranges, fc.double({ min: -1, max: 2, noNaN: true }), (range, place) => {
        // A symmetric log ramp has nothing between its smallest magnitudes but 0, which is its middle.
        const value = valueAt(range, place);
        expect(placeOf(range, value)).toBeCloseTo(place, 6);
        expect(position(range, value)).toBeCloseTo(Math.min(1, Math.max(0, place)), 6);
      }),
    );
  });

  it('are equal factors apart for magnitudes on a diverging scale, and equal differences for the others', () => {
    const range = { scale: 'diverging', lo: 0.01, hi: 100 } as const;
    expect(placeOf({ ...range, kind: 'magnitude' }, 1)).toBeCloseTo(0.5);
    expect(placeOf({ ...range, kind: 'magnitude' }, 10)).toBeCloseTo(0.75);
    expect(placeOf({ ...range, kind: 'fraction', lo: 0, hi: 1 }, 0.75)).toBe(0.75);
    expect(placeOf({ ...range, kind: 'signed', lo: -4, hi: 2 }, -1)).toBe(0.5);
  });
});

describe('a diverging range', () => {
  it('is around 0 for signed metrics, else around the median, and reaches as far on both sides', () => {
    const values = Float64Array.from({ length: 1_001 }, (_, i) => 10 ** ((i - 500) / 250));
    const magnitude = robustRanges('magnitude', values).diverging;
    expect(centreOf(magnitude)).toBeCloseTo(1);
    expect(magnitude.hi * magnitude.lo).toBeCloseTo(1);
    expect(magnitude.hi).toBe(100);
    const signed = robustRanges('signed', Float64Array.from([-3, 1, 1, 2])).diverging;
    expect([signed.lo, signed.hi]).toEqual([-5, 5]);
    const fraction = robustRanges('fraction', Float64Array.from([0.2, 0.3, 0.4])).diverging;
    expect(centreOf(fraction)).toBeCloseTo(0.3);
    expect(fraction.lo).toBeCloseTo(0.2);
  });

  it('is usable whatever there is, and has ticks that tell its ends and its centre', () => {
    fc.assert(
      fc.property(
        kinds,
        fc.array(fc.double({ min: 0, max: 3e38, noNaN: true, maxExcluded: true })),
        (kind, values) => {
          const clamped = values.map((value) =>
            kind === 'fraction' ? Math.min(1, value) : value < 1e-40 ? 0 : value,
          );
          const range = robustRanges(kind, Float64Array.from(clamped)).diverging;
          expectUsable(range);
          for (const most of [3, 5]) {
            const ticks = rangeTicks(range, most);
            expect(ticks.length).toBe(most);
            expect(ticks.every((tick, i) => i === 0 || tick > (ticks[i - 1] ?? 0))).toBe(true);
          }
        },
      ),
    );
  });
});

describe('a moved end', () => {
  it('is where it was moved to, the range stays usable, and the other end moves only where it must', () => {
    fc.assert(
      fc.property(ranges, ends, fc.double({ min: -3, max: 4, noNaN: true }), (range, end, place) => {
        const value = valueAt(range, place);
        const next = withEnd(range, end, value);
        expectUsable(next);
        if (next === range || !Number.isFinite(value)) return;
        const other = end === 'low' ? 'high' : 'low';
        if (range.scale === 'diverging') {
          expect(centreOf(next) / (centreOf(range) || 1)).toBeCloseTo(centreOf(range) === 0 ? 0 : 1, 6);
          if (end === 'low' ? place < 0.4 : place > 0.6) expect(endOf(next, end) / value).toBeCloseTo(1, 5);
        } else if (isMirrored(range)) {
          expect(endOf(next, end)).toBeCloseTo(value, 6);
          expect(endOf(next, other)).toBeCloseTo(-value, 6);
        } else {
          expect(endOf(next, end) / (value || 1)).toBeCloseTo(value === 0 ? 0 : 1, 6);
          if (end === 'low' ? place < 0.99 : place > 0.01)
            expect(endOf(next, other)).toBe(endOf(range, other));
        }
      }),
    );
  });

  it('pushes the other one along when it is typed beyond it', () => {
    const log = { kind: 'magnitude', scale: 'log', lo: 1, hi: 10 } as const;
    expect(withEnd(log, 'low', 100)).toMatchObject({ lo: 100, hi: 1_000 });
    expect(withEnd(log, 'high', 0.5)).toMatchObject({ lo: 0.05, hi: 0.5 });
    const linear = { ...log, scale: 'linear' } as const;
    expect(withEnd(linear, 'low', 20)).toMatchObject({ lo: 20, hi: 29 });
    expect(withEnd(linear, 'high', 0.5)).toMatchObject({ lo: 0, hi: 0.5 });
  });

  it('stays where there is no place for the value', () => {
    const log = { kind: 'magnitude', scale: 'log', lo: 1, hi: 10 } as const;
    for (const value of [0, -1, Number.NaN, Infinity]) {
      expect(withEnd(log, 'low', value)).toBe(log);
      expect(withEnd(log, 'high', value)).toBe(log);
    }
    const signed = { ...log, kind: 'signed' } as const;
    expect(withEnd(signed, 'low', 5)).toBe(signed);
    expect(withSmallest(signed, 10)).toBe(signed);
    expect(withSmallest(signed, 2)).toMatchObject({ lo: 2, hi: 10 });
    expect(withEnd(signed, 'low', -20)).toMatchObject({ lo: 1, hi: 20 });
  });
});

describe('a moved centre', () => {
  it('takes the reach along', () => {
    const range = { kind: 'magnitude', scale: 'diverging', lo: 0.1, hi: 10 } as const;
    const moved = withCentre(range, 5);
    expect([moved.lo, centreOf(moved), moved.hi].map((value) => Number(value.toPrecision(9)))).toEqual([
      0.5, 5, 50,
    ]);
    expect(withCentre(range, 0)).toBe(range);
    expect(withCentre({ ...range, kind: 'signed', lo: -1, hi: 1 }, -3)).toMatchObject({ lo: -4, hi: -2 });
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kind } from '../src/contract.ts';
import { position, rangeTicks, robustRanges } from '../src/ranges.ts';

const kinds: fc.Arbitrary<Kind> = fc.constantFrom('magnitude', 'fraction', 'signed');

/** What bf16 can hold: nothing between 0 and 1e-40. */
function sizes(max: number): fc.Arbitrary<number> {
  return fc.oneof(fc.constant(0), fc.double({ min: 1e-40, max, noNaN: true }));
}

function valuesOf(kind: Kind): fc.Arbitrary<number[]> {
  const size = fc.oneof(fc.constant(Number.NaN), sizes(kind === 'fraction' ? 1 : 3e38));
  return fc.array(
    kind === 'signed'
      ? fc.oneof(
          size,
          size.map((value) => -value),
        )
      : size,
  );
}

describe('robust ranges', () => {
  it('are usable whatever the values: rising, within a fraction, with ticks inside', () => {
    fc.assert(
      fc.property(
        kinds.chain((kind) => fc.tuple(fc.constant(kind), valuesOf(kind))),
        ([kind, values]) => {
          const ranges = robustRanges(kind, Float64Array.from(values));
          for (const range of [ranges.log, ranges.linear]) {
            expect(range.lo).toBeLessThan(range.hi);
            if (kind === 'fraction') expect(range.hi).toBeLessThanOrEqual(1);
            if (range.scale === 'log') expect(range.lo).toBeGreaterThan(0);
            const ticks = rangeTicks(range, 5);
            expect(new Set(ticks).size).toBe(ticks.length);
            expect(ticks.length).toBeGreaterThan(1);
            expect(ticks.length).toBeLessThan(14);
          }
        },
      ),
    );
  });

  it('hold places from 0 to 1 that rise with the value', () => {
    fc.assert(
      fc.property(kinds, fc.array(sizes(1), { minLength: 2 }), (kind, values) => {
        const { log, linear } = robustRanges(kind, Float64Array.from(values));
        for (const range of [log, linear]) {
          const places = values.toSorted((a, b) => a - b).map((value) => position(range, value));
          expect(places.every((place, i) => place >= (places[i - 1] ?? 0) && place <= 1)).toBe(true);
        }
      }),
    );
  });

  it('do not follow a single spike', () => {
    const values = Float64Array.from({ length: 2_000 }, (_, i) => (i === 77 ? 1e9 : 0.5 + (i % 100) / 200));
    const { log, linear } = robustRanges('magnitude', values);
    expect(log.hi).toBe(1);
    expect(linear).toMatchObject({ lo: 0.5, hi: 1 });
    expect(position(log, 1e9)).toBe(1);
  });

  it('keep fractions near 1 apart', () => {
    const { linear } = robustRanges('fraction', Float64Array.from([0.995, 0.998, 0.999, 1]));
    expect(linear.lo).toBeGreaterThan(0.9);
    expect(linear.hi).toBe(1);
  });

  it('are the same on both sides for a signed metric', () => {
    const { linear } = robustRanges('signed', Float64Array.from([-3, -1, 0, 2]));
    expect([position(linear, -linear.hi), position(linear, 0), position(linear, linear.hi)]).toEqual([
      0, 0.5, 1,
    ]);
  });

  it('leave room for ticks where rounding puts both ends on one value', () => {
    for (let n = 1; n <= 20_000; n++) {
      const value = 1 - 2 ** -(n % 53) * (n / 20_000);
      const { linear } = robustRanges('fraction', Float64Array.from([value]));
      expect(linear.hi - linear.lo).toBeGreaterThan(1e-5 * linear.hi);
    }
    const narrow = { kind: 'fraction', scale: 'linear', lo: 1 - 2 ** -53, hi: 1 } as const;
    expect(rangeTicks(narrow, 5).length).toBeLessThan(14);
  });

  it('say when there was nothing to go by', () => {
    expect(robustRanges('magnitude', Float64Array.from([NaN, NaN])).fromData).toBe(false);
    expect(robustRanges('magnitude', Float64Array.from([0])).fromData).toBe(true);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countCodes, histogramOf } from '../src/histogram.ts';
import type { Range } from '../src/ranges.ts';
import { bf16Of, foldedOf } from './support/encode.ts';

const LOG: Range = { kind: 'magnitude', scale: 'log', lo: 0.01, hi: 1 };

function countsOf(values: readonly number[], folded = false) {
  const codes = Uint16Array.from(values, folded ? foldedOf : bf16Of);
  return countCodes([{ codes, folded }]);
}

const sum = (bins: readonly number[]) => bins.reduce((total, count) => total + count, 0);

describe('counting', () => {
  it('finds each code as often as it is there, plain and folded apart', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(65_535)), fc.array(fc.nat(65_535)), (plain, folded) => {
        const counts = countCodes([
          { codes: Uint16Array.from(plain.slice(0, 3)), folded: false },
          { codes: Uint16Array.from(folded), folded: true },
          { codes: Uint16Array.from(plain.slice(3)), folded: false },
        ]);
        for (const [found, codes] of [
          [counts.plain, plain],
          [counts.folded, folded],
        ] as const)
          for (const code of new Set([...codes, 0, 65_535]))
            expect(found[code]).toBe(codes.filter((one) => one === code).length);
      }),
      { numRuns: 30 },
    );
  });
});

describe('a histogram', () => {
  it('holds every value with a colour once, and says how many take an end’s', () => {
    const values = fc.array(
      fc.oneof(fc.constantFrom(0, Number.NaN), fc.double({ min: 1e-6, max: 1e6, noNaN: true })),
    );
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 90 }), (found, bins) => {
        const histogram = histogramOf(countsOf(found), LOG, bins);
        const rounded = found.map((value) => (Number.isNaN(value) ? value : Math.fround(value)));
        // bf16 keeps a value to one part in 256: those right at the ends may be on either side.
        const surely = (test: (value: number) => boolean) => rounded.filter(test).length;
        expect(histogram.zeros).toBe(surely((value) => value === 0));
        expect(histogram.total).toBe(surely((value) => !Number.isNaN(value)));
        expect(sum(histogram.bins)).toBe(histogram.total - histogram.zeros);
        expect(histogram.above).toBeGreaterThanOrEqual(surely((value) => value > 1.005));
        expect(histogram.above).toBeLessThanOrEqual(surely((value) => value > 0.995));
        expect(histogram.below).toBeGreaterThanOrEqual(surely((value) => value > 0 && value < 0.00995));
        expect(histogram.below).toBeLessThanOrEqual(surely((value) => value > 0 && value < 0.01005));
        expect(histogram.bins.length).toBe(bins);
        expect(histogram.from).toBeLessThan(0);
        expect(histogram.to).toBeGreaterThan(1);
      }),
      { numRuns: 60 },
    );
  });

  it('shows a spike in its last bin, without squeezing the rest', () => {
    const { to, bins, above, total } = histogramOf(countsOf([...Array<number>(99).fill(0.1), 1e30]), LOG, 20);
    expect([to, bins.at(-1), above, total]).toEqual([1.5, 1, 1, 100]);
  });

  it('counts zeros among the others where they have a place of their own on the ramp', () => {
    const linear = histogramOf(countsOf([0, 0.5, 2]), { ...LOG, scale: 'linear', lo: 0 }, 10);
    expect([linear.zeros, linear.below, linear.above, linear.total]).toEqual([0, 0, 1, 3]);
    const signed = histogramOf(countsOf([0, -5, 0.5]), { ...LOG, kind: 'signed' }, 10);
    expect([signed.zeros, signed.below, signed.above]).toEqual([0, 1, 0]);
  });

  it('unfolds fractions', () => {
    const range: Range = { kind: 'fraction', scale: 'linear', lo: 0.9, hi: 0.99 };
    expect(histogramOf(countsOf([0.2, 0.95, 0.999, 1], true), range, 10)).toMatchObject({
      below: 1,
      above: 2,
      total: 4,
    });
  });
});

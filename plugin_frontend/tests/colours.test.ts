import { interpolateCividis, interpolatePuOr, interpolateRdBu, interpolateViridis } from 'd3-scale-chromatic';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  NO_DATA_INDEX,
  ZERO_INDEX,
  bf16Value,
  colourIndices,
  colourTable,
  foldedValue,
  rampColour,
  valueOf,
} from '../src/colours.ts';
import { type Range, position, zeroIsApart } from '../src/ranges.ts';
import { bf16Of, foldedOf } from './support/encode.ts';

const CODES = Array.from({ length: 65_536 }, (_, code) => code);

const ranges: fc.Arbitrary<Range> = fc
  .record({
    kind: fc.constantFrom('magnitude' as const, 'fraction' as const, 'signed' as const),
    scale: fc.constantFrom('log' as const, 'linear' as const, 'diverging' as const),
    lo: fc.double({ min: 1e-9, max: 1, noNaN: true }),
    width: fc.double({ min: 1.5, max: 1e9, noNaN: true }),
  })
  .map(({ kind, scale, lo, width }) => ({ kind, scale, lo, hi: lo * width }));

describe('a ramp', () => {
  it.each([
    ['cividis', interpolateCividis],
    ['viridis', interpolateViridis],
    ['rdbu', (t: number) => interpolateRdBu(1 - t)],
    ['puor', (t: number) => interpolatePuOr(1 - t)],
  ] as const)('%s has all 256 colours as the library gives them', (map, interpolate) => {
    const all = Array.from({ length: 256 }, (_, i) => i / 255);
    const hex = (t: number) =>
      '#' +
      rampColour(map, t)
        .map((one) => one.toString(16).padStart(2, '0'))
        .join('');
    const rgb = (t: number) => `rgb(${rampColour(map, t).join(', ')})`;
    expect(all.map((t) => (interpolate(t).startsWith('#') ? hex(t) : rgb(t)))).toEqual(all.map(interpolate));
  });
});

describe('bf16', () => {
  it('is the upper half of a float32, for every code', () => {
    const view = new DataView(new ArrayBuffer(4));
    const wrong = CODES.filter((code) => {
      view.setUint16(0, code);
      return !Object.is(bf16Value(code), view.getFloat32(0));
    });
    expect(wrong).toEqual([]);
  });

  it('keeps a value to one part in 256', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-30, max: 1e30, noNaN: true }), (value) => {
        expect(Math.abs(bf16Value(bf16Of(value)) / value - 1)).toBeLessThan(2 ** -8);
      }),
    );
  });
});

describe('folded fractions', () => {
  it('keep the difference from 1 as well as that from 0', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1, noNaN: true }), fc.boolean(), (small, nearOne) => {
        const fraction = nearOne ? 1 - small : small;
        const found = foldedValue(foldedOf(fraction));
        const room = Math.min(fraction, 1 - fraction);
        expect(Math.abs(found - fraction)).toBeLessThanOrEqual(room * 2 ** -8 + 1e-15);
      }),
    );
  });

  it('has codes of their own for exactly 0 and exactly 1', () => {
    expect(foldedValue(0x0000)).toBe(0);
    expect(foldedValue(0x8000)).toBe(1);
    expect(foldedOf(1)).toBe(0x8000);
    expect(foldedValue(0x7fc0)).toBeNaN();
  });
});

describe('colour tables', () => {
  it('rise with the value, in any range, plain and folded', () => {
    fc.assert(
      fc.property(ranges, fc.boolean(), (range, folded) => {
        const indices = colourIndices(range, folded);
        const rising = CODES.filter((code) => (indices[code] ?? NO_DATA_INDEX) < NO_DATA_INDEX)
          .map((code) => ({ value: valueOf(code, folded), index: indices[code] ?? 0 }))
          .filter(({ value }) => !folded || (value >= 0 && value <= 1))
          .sort((a, b) => a.value - b.value);
        expect(rising.every(({ index }, i) => i === 0 || index >= (rising[i - 1]?.index ?? 0))).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  it('are what each code has by itself', () => {
    fc.assert(
      fc.property(ranges, fc.boolean(), (range, folded) => {
        const indices = colourIndices(range, folded);
        const alone = CODES.map((code) => {
          const value = valueOf(code, folded);
          if (Number.isNaN(value)) return NO_DATA_INDEX;
          if (value === 0 && zeroIsApart(range)) return ZERO_INDEX;
          return Math.min(255, Math.floor(position(range, value) * 256)) || 0;
        });
        expect(CODES.filter((code) => indices[code] !== alone[code])).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  it('give no data no colour, and every value an opaque one', () => {
    fc.assert(
      fc.property(ranges, (range) => {
        const table = colourTable(range, false, 'cividis');
        for (const code of [0x7fc0, 0xffc0, 0x7f81]) expect(table[code]).toBe(0);
        for (const code of [0x0000, 0x8000, 0x3f80, 0x7f7f, 0x7f80])
          expect((table[code] ?? 0) >>> 24).toBe(255);
      }),
      { numRuns: 5 },
    );
  });

  it('tell exact zeros from the smallest values on a log scale, and only there', () => {
    const range = { kind: 'magnitude', lo: 1e-3, hi: 1 } as const;
    expect(colourIndices({ ...range, scale: 'log' }, false)[0]).toBe(ZERO_INDEX);
    expect(colourIndices({ ...range, scale: 'log' }, false)[1]).toBe(0);
    expect(colourIndices({ ...range, scale: 'linear' }, false)[0]).toBe(0);
  });

  it('put a signed zero in the middle of the ramp', () => {
    for (const scale of ['log', 'linear'] as const)
      expect(colourIndices({ kind: 'signed', scale, lo: 1e-3, hi: 1 }, false)[0]).toBe(128);
  });

  it('start and end with the colours of the map', () => {
    expect(rampColour('cividis', 0)).toEqual([0, 32, 81]);
    expect(rampColour('viridis', 1)).toEqual([253, 231, 37]);
    expect(rampColour('rdbu', 1)).toEqual([103, 0, 31]);
  });
});

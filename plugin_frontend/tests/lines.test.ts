import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Band, bandsOf, cellOfStep, edgeMarks, nonFiniteFlags, stairsOf } from '../src/lines/bands.ts';
import { isInked } from '../src/lines/draw.ts';
import { hasNoPlace, heightOf, valueScale, valueTicks } from '../src/lines/value_scale.ts';

const figure = fc.oneof(
  { weight: 6, arbitrary: fc.double({ noNaN: true, min: -1e30, max: 1e30 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, NaN, Infinity, -Infinity) },
  { weight: 2, arbitrary: fc.constant(null) },
);
const rising = fc
  .array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 40 })
  .map((gaps) => gaps.reduce<number[]>((edges, gap) => [...edges, (edges.at(-1) ?? 0) + gap], [7]));
const same = { x: (step: number) => step, y: (value: number) => value };

function bandOf(values: readonly (number | null)[], flags?: readonly number[]): Band {
  return { mean: values, min: values, max: values, ...(flags !== undefined && { flags }) };
}

describe('cells of a line', () => {
  it('are found by their step as by looking through all of them', () => {
    fc.assert(
      fc.property(rising, fc.integer({ min: -10, max: 41_000 }), (edges, step) => {
        const found = edges.findIndex((edge, i) => edge <= step && step < (edges[i + 1] ?? -Infinity));
        expect(cellOfStep(edges, step)).toBe(found < 0 ? null : found);
      }),
    );
    expect(cellOfStep([], 3)).toBeNull();
    expect(cellOfStep([3], 3)).toBeNull();
  });

  it('are stairs as wide as the cells, with a gap where there is no finite figure', () => {
    fc.assert(
      fc.property(rising, fc.array(figure, { minLength: 40, maxLength: 40 }), (edges, values) => {
        const cells = values.slice(0, edges.length - 1);
        const treads = stairsOf(edges, cells, same).flatMap((outline) =>
          Array.from({ length: outline.length / 4 }, (_, i) => outline.slice(4 * i, 4 * i + 4)),
        );
        const expected = cells.flatMap((value, i) =>
          value === null || !Number.isFinite(value) ? [] : [[edges[i], value, edges[i + 1], value]],
        );
        expect(treads).toEqual(expected);
      }),
    );
    expect(stairsOf([0, 1, 2, 3], [1, null, 2], same)).toEqual([
      [0, 1, 1, 1],
      [2, 2, 3, 2],
    ]);
  });

  it('have a band from min to max and back, so that a spike of one cell has its own area', () => {
    const band = { mean: [1, 2, 1], min: [0.5, 0.5, 0.5], max: [1, 100, 1] };
    expect(bandsOf([0, 10, 11, 20], band, same)).toEqual([
      [0, 1, 10, 1, 10, 100, 11, 100, 11, 1, 20, 1, 20, 0.5, 11, 0.5, 11, 0.5, 10, 0.5, 10, 0.5, 0, 0.5],
    ]);
    expect(bandsOf([0, 1, 2], { mean: [1, 1], min: [1, null], max: [null, 1] }, same)).toEqual([]);
  });
});

describe('a dash pattern', () => {
  it('has ink and gaps in turn, wherever one looks', () => {
    const pattern = (dash: readonly number[]) =>
      Array.from({ length: 16 }, (_, at) => (isInked(dash, at - 2) ? '#' : '.')).join('');
    expect(pattern([])).toBe('################');
    expect(pattern([3, 2])).toBe('..###..###..###.');
    expect(pattern([4, 1, 1, 2])).toBe('..####.#..####.#');
  });
});

describe('marks at an edge', () => {
  it('lose no flag, and stand apart', () => {
    const flags = fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(rising, flags, fc.integer({ min: 1, max: 500 }), (edges, all, gap) => {
        const marks = edgeMarks(edges, (cell) => all[cell] ?? 0, same.x, gap);
        const wanted = all.slice(0, edges.length - 1).reduce((sum, one) => sum | one, 0);
        expect(marks.reduce((sum, mark) => sum | mark.flags, 0)).toBe(wanted);
        for (const [i, mark] of marks.entries())
          expect(mark.at).toBeGreaterThan(marks[i - 1]?.at ?? -Infinity);
      }),
    );
    const marks = edgeMarks([0, 1, 2, 50, 51], (cell) => [1, 2, 0, 4][cell] ?? 0, same.x, 9);
    expect(marks).toEqual([
      { at: 1, flags: 3 },
      { at: 50.5, flags: 4 },
    ]);
  });

  it('tell NaN and infinities, whether flagged or in the figures', () => {
    expect(nonFiniteFlags(bandOf([1], [1 | 8 | 16]), 0)).toBe(1);
    expect(nonFiniteFlags({ mean: [1], min: [-Infinity], max: [Infinity] }, 0)).toBe(2 | 4);
    expect(nonFiniteFlags(bandOf([NaN]), 0)).toBe(1);
    expect(nonFiniteFlags(bandOf([null, 2]), 0)).toBe(0);
  });
});

describe('a value scale', () => {
  const kinds = fc.constantFrom('log', 'linear', 'symlog' as const);

  it('has room for all finite figures and keeps their order', () => {
    fc.assert(
      fc.property(kinds, fc.boolean(), fc.array(figure, { maxLength: 30 }), (kind, fromZero, values) => {
        const scale = valueScale(kind, fromZero, [bandOf(values)]);
        expect(scale.lo).toBeLessThan(scale.hi);
        const finite = values.filter((value) => value !== null && Number.isFinite(value)) as number[];
        const shown = finite.filter((value) => !hasNoPlace(scale, value)).sort((a, b) => a - b);
        for (const value of shown) {
          expect(value).toBeGreaterThanOrEqual(scale.lo * (1 - 1e-9 * Math.sign(scale.lo)));
          expect(value).toBeLessThanOrEqual(scale.hi * (1 + 1e-9 * Math.sign(scale.hi)));
        }
        const heights = shown.map((value) => heightOf(scale, value));
        expect(heights).toEqual([...heights].sort((a, b) => a - b));
        expect(heightOf(scale, scale.lo)).toBe(0);
        expect(heightOf(scale, scale.hi)).toBe(1);
      }),
    );
  });

  it('has a few ticks, rising and on it', () => {
    fc.assert(
      fc.property(kinds, fc.boolean(), fc.array(figure, { maxLength: 30 }), (kind, fromZero, values) => {
        const scale = valueScale(kind, fromZero, [bandOf(values)]);
        const ticks = valueTicks(scale);
        expect(ticks.length).toBeGreaterThan(0);
        expect(ticks.length).toBeLessThan(12);
        expect(ticks).toEqual([...new Set(ticks)].sort((a, b) => a - b));
        const room = (scale.hi - scale.lo) * 1e-6;
        for (const tick of ticks) {
          expect(tick).toBeGreaterThanOrEqual(scale.lo - room);
          expect(tick).toBeLessThanOrEqual(scale.hi + room);
        }
      }),
    );
    expect(valueTicks({ kind: 'log', lo: 0.2, hi: 5, linearBelow: 0 })).toEqual([0.2, 0.5, 1, 2, 5]);
    expect(valueTicks({ kind: 'linear', lo: 0, hi: 0.7, linearBelow: 0 })).toEqual([0, 0.2, 0.4, 0.6]);
  });

  it('puts what a log scale has no place for at its lower end, and says so', () => {
    const log = valueScale('log', true, [bandOf([0, 0.003, 40])]);
    expect([log.lo, log.hi]).toEqual([0.002, 50]);
    expect([hasNoPlace(log, 0), hasNoPlace(log, -1), hasNoPlace(log, 0.003), hasNoPlace(log, null)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(heightOf(log, 0)).toBe(0);
    expect(heightOf(valueScale('symlog', false, [bandOf([-3, 3])]), 0)).toBe(0.5);
  });

  it('begins at zero for a magnitude, and around the figures for others', () => {
    expect(valueScale('linear', true, [bandOf([9, 10])])).toMatchObject({ lo: 0, hi: 10.5 });
    expect(valueScale('linear', false, [bandOf([9, 10])])).toMatchObject({ lo: 8.95, hi: 10.05 });
  });
});

describe('the colours of lines', () => {
  const styles = readFileSync(new URL('../src/styles/lines.css', import.meta.url), 'utf8');
  const theme = readFileSync(new URL('../src/styles/theme.css', import.meta.url), 'utf8');

  /** Relative luminance, WCAG 2.2. */
  function luminance(hex: string): number {
    const parts = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
    const [r = 0, g = 0, b = 0] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  it('stand out from the background in both themes', () => {
    const blocks = (css: string) => css.split('}').slice(0, 2);
    for (const i of [0, 1]) {
      const background = /--background: (#\w{6})/.exec(blocks(theme)[i] ?? '')?.[1] ?? '';
      const colours = [...(blocks(styles)[i] ?? '').matchAll(/--series-\d: (#\w{6})/g)].map(
        (match) => match[1] ?? '',
      );
      expect(new Set(colours).size).toBe(9);
      for (const colour of colours) {
        const [low = 0, high = 0] = [luminance(colour), luminance(background)].sort((a, b) => a - b);
        expect((high + 0.05) / (low + 0.05)).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Grid,
  type StepScale,
  cellAtDevicePx,
  cellEdgeDevicePx,
  cellsInView,
  clampWindow,
  devicePxAt,
  levelOf,
  stepAt,
  stepScale,
  stepTicks,
  stepsInCell,
  wholeRun,
  zoomAround,
} from '../src/scales.ts';

/** Runs as the contract describes them: at the coarsest level all cells fit into one tile's width. */
const grids: fc.Arbitrary<Grid> = fc
  .record({
    first: fc.nat(1_000_000),
    length: fc.integer({ min: 1, max: 3_000_000 }),
    cell: fc.integer({ min: 1, max: 50 }),
  })
  .map(({ first, length, cell }) => ({
    steps: [first, first + length] as const,
    cell,
    levels: Math.max(0, Math.ceil(Math.log2((length / cell + 2) / 512))) + 1,
  }));

const widths = fc.integer({ min: 520, max: 4_000 });

const scales: fc.Arbitrary<{ grid: Grid; scale: StepScale }> = fc
  .tuple(
    grids,
    widths,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 1e-4, max: 1, noNaN: true }),
  )
  .map(([grid, width, place, zoom]) => {
    const whole = wholeRun(grid, width);
    const wanted = zoomAround(whole, whole.start + place * (whole.end - whole.start), zoom);
    return { grid, scale: stepScale(grid, clampWindow(grid, wanted, width) ?? whole, width) };
  });

describe('the level', () => {
  it('has cells of at least one device pixel, and is the finest such', () => {
    fc.assert(
      fc.property(scales, ({ grid, scale }) => {
        const perStep = scale.widthDevicePx / (scale.end - scale.start);
        expect(scale.level).toBe(levelOf(grid, scale, scale.widthDevicePx));
        expect(scale.end - scale.start).toBeLessThanOrEqual(scale.cellSteps * scale.widthDevicePx);
        if (scale.level > 0) expect(stepsInCell(grid, scale.level - 1) * perStep).toBeLessThan(1 + 1e-6);
      }),
    );
  });

  it('is 0 where all cells fit, and no pixel is left over', () => {
    expect(levelOf({ steps: [0, 1_000], cell: 1, levels: 2 }, { start: 0, end: 1_000 }, 1_000)).toBe(0);
    expect(levelOf({ steps: [0, 900], cell: 1, levels: 2 }, { start: 0, end: 900 }, 1_000)).toBe(0);
    expect(levelOf({ steps: [0, 1_100], cell: 1, levels: 3 }, { start: 0, end: 1_100 }, 1_000)).toBe(1);
  });
});

describe('cells and pixels', () => {
  it('give every cell in view a column of its own, without gaps', () => {
    fc.assert(
      fc.property(scales, ({ grid, scale }) => {
        const [first, end] = cellsInView(scale, grid);
        const edges = Array.from({ length: end - first + 1 }, (_, i) => cellEdgeDevicePx(scale, first + i));
        expect(edges.every((edge, i) => i === 0 || edge >= (edges[i - 1] ?? 0) + 1)).toBe(true);
      }),
    );
  });

  it('find the cell again from any of its columns', () => {
    fc.assert(
      fc.property(scales, fc.double({ min: 0, max: 1, noNaN: true }), ({ grid, scale }, place) => {
        const [first, end] = cellsInView(scale, grid);
        const cell = Math.min(end - 1, first + Math.floor(place * (end - first)));
        for (const column of [cellEdgeDevicePx(scale, cell), cellEdgeDevicePx(scale, cell + 1) - 1])
          expect(cellAtDevicePx(scale, column)).toBe(cell);
      }),
    );
  });

  it('convert steps to pixels and back', () => {
    fc.assert(
      fc.property(scales, fc.double({ min: 0, max: 4_000, noNaN: true }), ({ scale }, devicePx) => {
        expect(devicePxAt(scale, stepAt(scale, devicePx))).toBeCloseTo(devicePx, 4);
      }),
    );
  });
});

describe('the window', () => {
  it('of the whole run holds every recorded step', () => {
    fc.assert(
      fc.property(grids, widths, (grid, width) => {
        const { start, end } = wholeRun(grid, width);
        expect(start).toBeLessThanOrEqual(grid.steps[0]);
        expect(end).toBeGreaterThanOrEqual(grid.steps[1]);
      }),
    );
  });

  it('stays inside the whole run, and is null where it would be all of it', () => {
    fc.assert(
      fc.property(grids, widths, fc.integer(), fc.integer({ min: 1 }), (grid, width, start, span) => {
        const whole = wholeRun(grid, width);
        const window = clampWindow(grid, { start, end: start + span }, width);
        if (window === null) return;
        expect(window.start).toBeGreaterThanOrEqual(whole.start);
        expect(window.end).toBeLessThanOrEqual(whole.end + 1e-6);
        expect(window.end - window.start).toBeLessThan(whole.end - whole.start);
      }),
    );
    expect(clampWindow({ steps: [0, 100], cell: 1, levels: 1 }, { start: -5, end: 500 }, 600)).toBeNull();
  });

  it('keeps the step under the pointer where it is when zooming', () => {
    fc.assert(
      fc.property(scales, fc.double({ min: 0.1, max: 10, noNaN: true }), ({ scale }, factor) => {
        const step = stepAt(scale, 123);
        expect(devicePxAt({ ...scale, ...zoomAround(scale, step, factor) }, step)).toBeCloseTo(123, 3);
      }),
    );
  });

  it('shows the last cells of a run that is too long for a narrow canvas', () => {
    const grid = { steps: [0, 512], cell: 1, levels: 1 } as const;
    expect(wholeRun(grid, 300)).toEqual({ start: 212, end: 512 });
  });
});

describe('ticks', () => {
  it('are whole round steps in view, far enough apart to be read', () => {
    fc.assert(
      fc.property(scales, ({ scale }) => {
        const ticks = stepTicks(scale, 90);
        const places = ticks.map((step) => devicePxAt(scale, step));
        expect(
          ticks.every((step) => Number.isInteger(step) && step >= scale.start && step <= scale.end),
        ).toBe(true);
        expect(places.every((place, i) => i === 0 || place - (places[i - 1] ?? 0) >= 90 * (1 - 1e-6))).toBe(
          true,
        );
      }),
    );
  });
});

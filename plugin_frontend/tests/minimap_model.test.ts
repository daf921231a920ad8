import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Grip,
  drawn,
  gripped,
  hasMinimap,
  keyedStep,
  minimapScale,
  minimapTiles,
} from '../src/minimap_model.ts';
import { type Grid, cellsInView, stepScale, wholeRun } from '../src/scales.ts';

const grids: fc.Arbitrary<Grid> = fc
  .tuple(fc.nat(1_000), fc.integer({ min: 1, max: 3_000_000 }), fc.integer({ min: 1, max: 100 }))
  .map(([first, steps, cell]) => {
    const cells = Math.ceil(steps / cell) + 1;
    return {
      steps: [first, first + steps],
      cell,
      levels: Math.max(1, Math.ceil(Math.log2(cells / 256)) + 1),
    };
  });

const grips = fc.constantFrom<Grip>('start', 'end', 'window');
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe('the minimap', () => {
  it('is there when cells are wider than a pixel only by being put together', () => {
    const grid = (cells: number): Grid => ({ steps: [0, 10 * cells], cell: 10, levels: 6 });
    expect([800, 1_000, 1_001, 20_000].map((cells) => hasMinimap(grid(cells), 1_000))).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(hasMinimap(grid(20_000), 0)).toBe(false);
  });

  it('shows all of the run in two tiles at most, which are of the coarsest level', () => {
    fc.assert(
      fc.property(grids, fc.integer({ min: 520, max: 3_000 }), (grid, widthDevicePx) => {
        const scale = minimapScale(grid, widthDevicePx);
        const [first, end] = cellsInView(scale, grid);
        expect(first * scale.cellSteps).toBeLessThanOrEqual(grid.steps[0]);
        expect(end * scale.cellSteps).toBeGreaterThanOrEqual(grid.steps[1]);
        const viewport = { widthDevicePx, heightDevicePx: 100, scrollDevicePx: 0, devicePixelRatio: 1 };
        const scene = {
          grid,
          viewport,
          scale: stepScale(grid, wholeRun(grid, widthDevicePx), widthDevicePx),
        };
        const tiles = minimapTiles({
          ...scene,
          nodes: Int32Array.of(0),
          tileAt: () => undefined,
          arrivals: 0,
        });
        expect(tiles.length).toBeLessThanOrEqual(2);
        for (const { level, r } of tiles) expect([level, r]).toEqual([grid.levels - 1, 0]);
      }),
    );
  });

  it('moves the window within the run, and an edge no closer to the other than eight cells', () => {
    fc.assert(
      fc.property(
        grids,
        share,
        share,
        grips,
        fc.double({ min: -1, max: 2, noNaN: true }),
        (grid, a, b, grip, c) => {
          const whole = wholeRun(grid, 1_000);
          const span = whole.end - whole.start;
          const at = (part: number) => whole.start + part * span;
          const least = Math.min(8 * grid.cell, span);
          const start = Math.min(at(Math.min(a, b)), whole.end - least);
          const window = { start, end: Math.max(at(Math.max(a, b)), start + least) };
          const moved = gripped(grid, whole, window, grip, at(c));
          const grain = 1e-9 * span;
          expect(moved.start).toBeGreaterThanOrEqual(whole.start - grain);
          expect(moved.end).toBeLessThanOrEqual(whole.end + grain);
          expect(moved.end - moved.start).toBeGreaterThanOrEqual(least - grain);
          if (grip === 'window') expect(moved.end - moved.start).toBeCloseTo(window.end - window.start, 3);
          if (grip === 'start') expect(moved.end).toBe(window.end);
          if (grip === 'end') expect(moved.start).toBe(window.start);
        },
      ),
    );
  });

  it('is moved by the keys of a slider', () => {
    const grid: Grid = { steps: [0, 100_000], cell: 10, levels: 6 };
    const [whole, window] = [
      { start: 0, end: 100_000 },
      { start: 20_000, end: 30_000 },
    ];
    const step = (grip: Grip, key: string) => keyedStep(grid, whole, window, grip, key);
    expect(step('window', 'ArrowRight')).toBe(26_000);
    expect(step('window', 'PageDown')).toBe(15_000);
    expect(step('start', 'ArrowLeft')).toBe(19_000);
    expect(step('end', 'PageUp')).toBe(40_000);
    expect([step('start', 'Home'), step('end', 'End')]).toEqual([0, 100_000]);
    expect([step('end', 'x'), step('end', 'constructor')]).toEqual([null, null]);
  });

  it('takes a drawn window from either side', () => {
    const grid: Grid = { steps: [0, 100_000], cell: 10, levels: 6 };
    expect(drawn(grid, 500, 900)).toEqual({ start: 500, end: 900 });
    expect(drawn(grid, 900, 500)).toEqual({ start: 500, end: 900 });
    expect(drawn(grid, 500, 510)).toEqual({ start: 465, end: 545 });
  });
});

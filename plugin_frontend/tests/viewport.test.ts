import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Grid, stepScale, wholeRun } from '../src/scales.ts';
import {
  type Viewport,
  cellAtCssPx,
  cellRectCssPx,
  rowCssPx,
  rowDevicePx,
  rowTopDevicePx,
  rowsInView,
  tilesBehind,
} from '../src/viewport.ts';

const viewports: fc.Arbitrary<Viewport> = fc.record({
  widthDevicePx: fc.integer({ min: 520, max: 3_000 }),
  heightDevicePx: fc.integer({ min: 100, max: 2_000 }),
  scrollDevicePx: fc.nat(50_000),
  devicePixelRatio: fc.constantFrom(0.8, 1, 1.25, 1.5, 2, 3),
});

const grid: Grid = { steps: [0, 20_000], cell: 10, levels: 3 };

describe('hit testing', () => {
  it('finds the cell whose rectangle the point is in', () => {
    fc.assert(
      fc.property(viewports, fc.nat(3_000), fc.nat(2_000), (viewport, row, cell) => {
        const scale = stepScale(grid, wholeRun(grid, viewport.widthDevicePx), viewport.widthDevicePx);
        const rect = cellRectCssPx(viewport, scale, row, cell);
        if (rect === null) return;
        const half = 0.5 / viewport.devicePixelRatio;
        for (const x of [rect.x + half, rect.x + rect.width - half])
          for (const y of [rect.y + half, rect.y + rect.height - half])
            expect(cellAtCssPx(viewport, scale, x, y)).toEqual({ row, cell });
      }),
    );
  });

  it('has no rectangle for a cell outside the canvas', () => {
    const viewport = { widthDevicePx: 1_000, heightDevicePx: 100, scrollDevicePx: 180, devicePixelRatio: 1 };
    const scale = stepScale(grid, { start: 0, end: 5_000 }, 1_000);
    expect(cellRectCssPx(viewport, scale, 9, 0)).toBeNull();
    expect(cellRectCssPx(viewport, scale, 16, 0)).toBeNull();
    expect(cellRectCssPx(viewport, scale, 10, 500)).toBeNull();
    expect(cellRectCssPx(viewport, scale, 10, 499)).toEqual({ x: 998, y: 0, width: 2, height: 18 });
  });
});

describe('rows', () => {
  it('are whole device pixels high and about 18 CSS pixels', () => {
    for (const ratio of [0.5, 0.8, 1, 1.1, 1.25, 1.5, 2, 3]) {
      expect(Number.isInteger(rowDevicePx(ratio))).toBe(true);
      expect(Math.abs(rowCssPx(ratio) - 18)).toBeLessThan(1);
    }
  });

  it('in view are exactly those with a pixel in the viewport', () => {
    fc.assert(
      fc.property(viewports, fc.nat(5_000), (viewport, count) => {
        const [first, end] = rowsInView(viewport, count);
        const height = rowDevicePx(viewport.devicePixelRatio);
        const seen = Array.from({ length: count }, (_, row) => row).filter((row) => {
          const top = rowTopDevicePx(viewport, row);
          return top + height > 0 && top < viewport.heightDevicePx;
        });
        expect(seen).toEqual(Array.from({ length: end - first }, (_, i) => first + i));
      }),
    );
  });

  it('stand on the tiles of their nodes and cells, each asked for once', () => {
    expect(tilesBehind([0, 1, 64, 2], [500, 1_025], 3)).toEqual([
      { level: 3, r: 0, c: 0 },
      { level: 3, r: 0, c: 1 },
      { level: 3, r: 0, c: 2 },
      { level: 3, r: 1, c: 0 },
      { level: 3, r: 1, c: 1 },
      { level: 3, r: 1, c: 2 },
    ]);
    expect(tilesBehind([0], [5, 5], 0)).toEqual([]);
  });
});

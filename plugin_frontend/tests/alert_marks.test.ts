import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alertMarksOf, alertsByRow, rowsOfNodes } from '../src/alerts/alert_marks.ts';
import { inTimeOrder } from '../src/alerts/alerts.ts';
import { GRADES } from '../src/alerts/kinds.ts';
import { buildTree, visibleNodes } from '../src/model.ts';
import { cellEdgeDevicePx, clampWindow, stepScale, wholeRun, zoomAround } from '../src/scales.ts';
import { rowDevicePx, rowTopDevicePx } from '../src/viewport.ts';
import { alertOf } from './support/alert.ts';
import { nodesFrom } from './support/meta.ts';

const GRID = { steps: [0, 20_003], cell: 10, levels: 3 } as const;
const NODES = 60;

const found = fc.array(
  fc.record({
    node: fc.nat(NODES - 1),
    cell: fc.nat(2_000),
    severity: fc.constantFrom(...GRADES),
  }),
  { maxLength: 500 },
);
const views = fc.record({
  width: fc.integer({ min: 520, max: 2_800 }),
  ratio: fc.constantFrom(1, 1.25, 1.5, 2),
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  zoom: fc.double({ min: 1e-3, max: 1, noNaN: true }),
  scroll: fc.nat(600),
});

describe('marks on the heatmap', () => {
  it('hold each alert in view once, never overlap, and leave the upper half of each row free', () => {
    fc.assert(
      fc.property(found, views, (alerts, { width, ratio, place, zoom, scroll }) => {
        const all = inTimeOrder(
          alerts.map(({ node, cell, severity }, i) => ({
            ...alertOf({ id: String(i), node, steps: [10 * cell, 10 * cell + 10] }),
            severity,
          })),
        );
        const whole = wholeRun(GRID, width);
        const around = whole.start + place * (whole.end - whole.start);
        const scale = stepScale(
          GRID,
          clampWindow(GRID, zoomAround(whole, around, zoom), width) ?? whole,
          width,
        );
        const viewport = {
          widthDevicePx: width,
          heightDevicePx: 500,
          scrollDevicePx: scroll,
          devicePixelRatio: ratio,
        };
        const marks = alertMarksOf(
          alertsByRow(all, (node) => node),
          NODES,
          viewport,
          scale,
        );
        const row = rowDevicePx(ratio);
        const inView = all.filter(({ node, steps: [first] }) => {
          const cell = Math.floor(first / scale.cellSteps);
          const top = rowTopDevicePx(viewport, node);
          return (
            cellEdgeDevicePx(scale, cell) < width &&
            cellEdgeDevicePx(scale, cell + 1) > 0 &&
            top < 500 &&
            top + row > 0
          );
        });
        const ids = marks.flatMap((mark) => mark.alerts.map(({ id }) => id));
        expect(ids.toSorted()).toEqual(inView.map(({ id }) => id).toSorted());
        for (const mark of marks) {
          expect(mark.alerts.every(({ node }) => node === mark.row)).toBe(true);
          const gravest = Math.min(...mark.alerts.map(({ severity }) => GRADES.indexOf(severity)));
          expect(mark.severity).toBe(GRADES[gravest]);
          expect(mark.left).toBeGreaterThanOrEqual(0);
          expect(mark.left).toBeLessThan(width);
          const top = rowTopDevicePx(viewport, mark.row);
          expect(mark.top).toBeGreaterThan(top + row / 3);
          expect(mark.top + mark.height).toBeLessThan(top + row);
        }
        const byRow = marks.toSorted((a, b) => a.row - b.row || a.left - b.left);
        byRow.forEach((mark, i) => {
          const before = byRow[i - 1];
          if (before?.row === mark.row) expect(mark.left).toBeGreaterThan(before.right);
        });
      }),
      { numRuns: 80 },
    );
  });

  it('stand on their cell, at its left edge where it is wide', () => {
    const scale = stepScale(GRID, { start: 0, end: 500 }, 1_000);
    const viewport = { widthDevicePx: 1_000, heightDevicePx: 500, scrollDevicePx: 0, devicePixelRatio: 1 };
    const rows = alertsByRow([alertOf({ node: 3, steps: [120, 130] })], (node) => node);
    expect(alertMarksOf(rows, NODES, viewport, scale)).toMatchObject([{ left: 240, right: 248, row: 3 }]);
    const narrow = stepScale(GRID, { start: 0, end: 10_000 }, 1_000);
    expect(alertMarksOf(rows, NODES, viewport, narrow)).toMatchObject([{ left: 9, right: 17 }]);
  });
});

describe('the row of a node', () => {
  it('is its own, or that of its nearest ancestor with one', () => {
    const tree = buildTree(nodesFrom(['', 'a', 'b', 'a.x', 'b.y', 'a.x.w'], [-1, 0, 0, 1, 2, 3]));
    const rowsWith = (...open: string[]) =>
      Array.from(rowsOfNodes(tree.parents, visibleNodes(tree, new Set(open))));
    expect(rowsWith()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(rowsWith('total:')).toEqual([0, 1, 2, 1, 2, 1]);
    expect(rowsWith('total:', 'module:a', 'module:a.x')).toEqual([0, 1, 4, 2, 4, 3]);
    expect(Array.from(rowsOfNodes(tree.parents, new Int32Array()))).toEqual([-1, -1, -1, -1, -1, -1]);
  });
});

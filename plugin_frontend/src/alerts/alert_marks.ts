import type { Span } from '../picture.ts';
import { type StepScale, cellEdgeDevicePx } from '../scales.ts';
import { type Viewport, rowDevicePx, rowTopDevicePx, rowsInView } from '../viewport.ts';
import { GRADES, type Grade, type Spot } from './kinds.ts';

/** Lower than half a row: whatever is in a cell shows above the mark at its lower edge. */
export const MARK_CSS_PX = 8;

/** Of each digit of a cluster's number, and around it. */
const DIGIT_CSS_PX = 5.5;
const PADDING_CSS_PX = 4;

/** A shape on the heatmap, in device pixels, that stands for one alert or for several too close to be told apart. */
export interface AlertMark extends Span {
  readonly row: number;
  readonly top: number;
  readonly height: number;
  readonly alerts: readonly Spot[];
  /** The gravest of its alerts'. */
  readonly severity: Grade;
}

/** Alerts by the row that shows them, each row's in the order of steps. */
export type AlertsByRow = ReadonlyMap<number, readonly Spot[]>;

/** `rowOf` gives a node's row, or that of its nearest unfolded ancestor; below 0 is none. */
export function alertsByRow(inTime: readonly Spot[], rowOf: (node: number) => number): AlertsByRow {
  const rows = new Map<number, Spot[]>();
  for (const alert of inTime) {
    const row = rowOf(alert.node);
    if (row < 0) continue;
    const known = rows.get(row);
    if (known === undefined) rows.set(row, [alert]);
    else known.push(alert);
  }
  return rows;
}

/** The rows of all nodes [node]: their own, or that of the nearest ancestor with one; −1 where there is none. */
export function rowsOfNodes(parents: Int32Array, shown: Int32Array): Int32Array {
  const rows = new Int32Array(parents.length).fill(-1);
  shown.forEach((node, row) => (rows[node] = row));
  // A parent stands before its children, so it has its row by the time they ask.
  parents.forEach((parent, node) => {
    if ((rows[node] ?? -1) < 0 && parent >= 0) rows[node] = rows[parent] ?? -1;
  });
  return rows;
}

/**
 * Marks at the lower left of the cell of each alert's first step, or in the middle of a cell that is narrower. From
 * left to right, an alert whose mark would touch the one before joins it: so each alert whose cell is in view is in
 * exactly one mark, and no two marks overlap. The work grows with the alerts of the rows in view.
 */
export function alertMarksOf(
  rows: AlertsByRow,
  rowCount: number,
  viewport: Viewport,
  scale: StepScale,
): AlertMark[] {
  const [firstRow, endRow] = rowsInView(viewport, rowCount);
  const marks: AlertMark[] = [];
  for (const [row, alerts] of rows)
    if (row >= firstRow && row < endRow) addMarks(marks, row, alerts, viewport, scale);
  return marks;
}

/** The mark at a point of the canvas. */
export function markAt(
  marks: readonly AlertMark[],
  point: { cssX: number; cssY: number },
  devicePixelRatio: number,
): AlertMark | null {
  const [x, y] = [point.cssX * devicePixelRatio, point.cssY * devicePixelRatio];
  const isAt = ({ left, right, top, height }: AlertMark) =>
    x >= left && x < right && y >= top && y < top + height;
  return marks.find(isAt) ?? null;
}

/** The alerts of a row whose mark stands for a cell [first, end) of steps. */
export function alertsOfCell(
  marks: readonly AlertMark[],
  row: number,
  [first, end]: readonly [number, number],
): readonly Spot[] {
  const alerts = marks.flatMap((mark) => (mark.row === row ? mark.alerts : []));
  return alerts.filter(({ steps }) => steps[0] >= first && steps[0] < end);
}

function addMarks(
  marks: AlertMark[],
  row: number,
  alerts: readonly Spot[],
  viewport: Viewport,
  scale: StepScale,
): void {
  const ratio = viewport.devicePixelRatio;
  const size = Math.round(MARK_CSS_PX * ratio);
  const gap = Math.round(2 * ratio);
  const top = rowTopDevicePx(viewport, row) + rowDevicePx(ratio) - gap - size;
  let open: Draft | null = null;
  for (const alert of alerts) {
    const cell = Math.floor(alert.steps[0] / scale.cellSteps);
    const [from, to] = [cellEdgeDevicePx(scale, cell), cellEdgeDevicePx(scale, cell + 1)];
    if (to <= 0 || from >= viewport.widthDevicePx) continue;
    const wanted = Math.max(0, from) + Math.min(0, Math.round((to - from - size) / 2));
    const left = Math.max(0, Math.min(wanted, viewport.widthDevicePx - size));
    if (open !== null && left < open.right + gap) {
      open.alerts.push(alert);
      open.right = open.left + widthDevicePx(open.alerts.length, ratio);
      if (GRADES.indexOf(alert.severity) < GRADES.indexOf(open.severity)) open.severity = alert.severity;
    } else {
      open = { row, left, right: left + size, top, height: size, alerts: [alert], severity: alert.severity };
      marks.push(open);
    }
  }
}

interface Draft extends AlertMark {
  right: number;
  alerts: Spot[];
  severity: Grade;
}

/** Room for the shape, and beside it for the number of alerts where there are several. */
function widthDevicePx(count: number, devicePixelRatio: number): number {
  const number = count > 1 ? String(count).length * DIGIT_CSS_PX + PADDING_CSS_PX : 0;
  return Math.round((MARK_CSS_PX + number) * devicePixelRatio);
}

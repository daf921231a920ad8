import { type ReadonlySignal, computed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { oncePerFrame } from '../frame.ts';
import { contextOf } from '../signs.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import { type AlertMark, MARK_CSS_PX, alertMarksOf, alertsByRow, rowsOfNodes } from './alert_marks.ts';
import type { Alerts } from './alerts.ts';
import { LOOKS } from './kinds.ts';
import { listenForJumps } from './visit.ts';

/** Around each shape, so that it shows on any colour of any map. */
const OUTLINE = '#16181b';
const NUMBER = '#ffffff';

interface Props {
  store: Store;
  pointing: Pointing;
  alerts: Alerts;
}

/** Marks where something was found, on a canvas of their own above the cells; the keys that go from one to another. */
export function AlertMarks({ store, pointing, alerts }: Props) {
  const marks = marksInView(store, alerts);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const context = contextOf(element);
    const schedule = oncePerFrame(() => {
      const { widthDevicePx, heightDevicePx, devicePixelRatio } = store.viewport.peek();
      if (element.width !== widthDevicePx) element.width = widthDevicePx;
      if (element.height !== heightDevicePx) element.height = heightDevicePx;
      drawAlertMarks(context, marks.peek(), devicePixelRatio);
      const count = String(marks.peek().length);
      if (element.dataset.count !== count) element.dataset.count = count;
    });
    return marks.subscribe(schedule);
  }, [store, marks]);
  useEffect(() => listenForJumps(store, pointing, alerts), [store, pointing, alerts]);
  const visited = alerts.visited.value;
  const isThere = visited !== null && store.cursor.value === visited.place;
  const rect = isThere && !alerts.open.value ? pointing.cursorCell.value?.rect : null;
  const { heightDevicePx, devicePixelRatio } = store.viewport.value;
  const side = rect != null && rect.y * devicePixelRatio > heightDevicePx / 2 ? 'above' : 'below';
  return (
    <>
      <canvas ref={canvas} class="alert-marks" data-testid="alert-marks" aria-hidden="true" />
      <div
        class={rect == null ? 'visually-hidden' : `alert-told ${side}`}
        role="status"
        data-testid="alert-told"
      >
        <bdi>{visited?.told}</bdi>
      </div>
    </>
  );
}

const made = new WeakMap<Alerts, ReadonlySignal<readonly AlertMark[]>>();

/** The marks in view, which a change of what they follow from makes anew. */
export function marksInView(store: Store, alerts: Alerts): ReadonlySignal<readonly AlertMark[]> {
  const known = made.get(alerts);
  if (known !== undefined) return known;
  const byRow = computed(() => {
    const [tree, all] = [store.tree.value, alerts.marksShown.value ? alerts.inTime.value : []];
    if (tree === null || all.length === 0 || !alerts.areOf(store.stream.value))
      return new Map<number, never>();
    const rows = rowsOfNodes(tree.parents, store.nodes.value);
    return alertsByRow(all, (node) => rows[node] ?? -1);
  });
  const marks = computed(() => {
    const scale = store.scale.value;
    if (scale === null || byRow.value.size === 0) return [];
    return alertMarksOf(byRow.value, store.nodes.value.length, store.viewport.value, scale);
  });
  made.set(alerts, marks);
  return marks;
}

export function drawAlertMarks(
  context: CanvasRenderingContext2D,
  marks: readonly AlertMark[],
  devicePixelRatio: number,
): void {
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  const margin = marginDevicePx(devicePixelRatio);
  for (const mark of marks)
    context.drawImage(imageOf(mark, devicePixelRatio), mark.left - margin, mark.top - margin);
}

/** Room for the outline. */
function marginDevicePx(devicePixelRatio: number): number {
  return Math.ceil(2 * devicePixelRatio);
}

const MOST_IMAGES = 300;
const images = new Map<string, HTMLCanvasElement>();

/** Marks look alike but for severity, number and size: drawing paths and text anew for each would take ten times as long. */
function imageOf(mark: AlertMark, devicePixelRatio: number): HTMLCanvasElement {
  const key = [mark.severity, mark.alerts.length, mark.right - mark.left, devicePixelRatio].join(' ');
  const known = images.get(key);
  if (known !== undefined) return known;
  if (images.size >= MOST_IMAGES) images.clear();
  const image = document.createElement('canvas');
  const margin = marginDevicePx(devicePixelRatio);
  image.width = mark.right - mark.left + 2 * margin;
  image.height = mark.height + 2 * margin;
  const context = contextOf(image);
  context.translate(margin, margin);
  drawAlertMark(context, mark, devicePixelRatio);
  images.set(key, image);
  return image;
}

/** With its upper left corner at the origin. */
function drawAlertMark(
  context: CanvasRenderingContext2D,
  { left, right, height, alerts, severity }: AlertMark,
  devicePixelRatio: number,
): void {
  const line = Math.round(devicePixelRatio);
  const size = Math.round(MARK_CSS_PX * devicePixelRatio);
  context.lineJoin = 'round';
  if (alerts.length > 1) {
    context.font = `700 ${9 * devicePixelRatio}px system-ui, sans-serif`;
    context.textBaseline = 'middle';
    context.fillStyle = OUTLINE;
    context.fillRect(-line, -line, right - left + 2 * line, height + 2 * line);
    context.fillStyle = NUMBER;
    context.fillText(String(alerts.length), size + 2 * line, height / 2 + line / 2);
  }
  context.scale(size / 10, size / 10);
  context.strokeStyle = OUTLINE;
  context.lineWidth = 2.5;
  context.fillStyle = LOOKS[severity].fill;
  const path = new Path2D(LOOKS[severity].shape);
  context.stroke(path);
  context.fill(path);
}

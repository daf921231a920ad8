import { batch, effect } from '@preact/signals';
import type { Alert } from '../contract.ts';
import { pageShortcutOf } from '../keys.ts';
import type { Pointing } from '../pointing.ts';
import type { StepScale, StepWindow } from '../scales.ts';
import type { Store } from '../store.ts';
import { activeRowOf } from '../tree_keys.ts';
import { SIGNED_KINDS } from './kinds.ts';
import { type Alerts, type Jump, jumpFrom, sentenceOfJump } from './alerts.ts';

/** How wide an interval gets that was narrower than a pixel. */
const WIDE_CSS_PX = 8;

/**
 * Shows an alert's cell: its stream and metric, its row unfolded and in view, its steps in view, and the cursor on it.
 * Where another stream is shown, that waits for the alert's, unless somebody turns to something else meanwhile.
 */
export function visit(store: Store, pointing: Pointing, alerts: Alerts, alert: Alert, told: string): void {
  const found = alerts.found.peek();
  if (found !== null) store.chooseStream(found.stream);
  if (found === null || found.stream === store.stream.peek()?.name) {
    show(store, pointing, alerts, alert, told);
    return;
  }
  const stop = effect(() => {
    const isWanted = store.runName.value === found.run && store.streamName.value === found.stream;
    const isHere = store.stream.value?.name === found.stream;
    if (isWanted && !isHere) return;
    queueMicrotask(() => {
      stop();
      if (isWanted)
        show(store, pointing, alerts, alert, `${told}. Showing ${store.stream.peek()?.label ?? ''}`);
    });
  });
}

function show(store: Store, pointing: Pointing, alerts: Alerts, alert: Alert, told: string): void {
  const [tree, grid, scale] = [store.tree.peek(), store.grid.peek(), store.scale.peek()];
  const key = tree?.keys[alert.node];
  if (tree === null || grid === null || scale === null || key === undefined) return;
  const place = { key, step: Math.max(grid.steps[0], alert.steps[0]) };
  const metric = metricToShow(store, alert);
  batch(() => {
    if (metric !== null) store.chooseMetric(metric.name);
    store.outline.reveal(alert.node);
    const window = windowOf(alert.steps, scale, store.size.peek().devicePixelRatio);
    if (window !== null) store.zoomTo(window);
    store.pointer.value = null;
    store.activeKey.value = key;
    store.cursor.value = place;
    alerts.visited.value = {
      id: alert.id,
      place,
      told: metric === null ? told : `${told}. Showing ${metric.label}`,
    };
  });
  pointing.revealRow(activeRowOf(tree, store.nodes.peek(), key));
}

/** The metric that shows an alert best, where it is not the one that is shown already and that one does not show it. */
export function metricToShow(store: Store, alert: Alert): { name: string; label: string } | null {
  if (store.metric.value?.name === alert.metric || SIGNED_KINDS.has(alert.kind)) return null;
  return store.meta.value?.metrics.find(({ name }) => name === alert.metric) ?? null;
}

/** The steps to show for an interval: null where it is in view and can be seen already. */
export function windowOf(
  [first, end]: readonly [number, number],
  scale: StepScale,
  devicePixelRatio: number,
): StepWindow | null {
  const shown = scale.end - scale.start;
  const isNarrow = (end - first) * scale.widthDevicePx < shown;
  if (!isNarrow && first >= scale.start && first < scale.end) return null;
  const closer = ((end - first) * scale.widthDevicePx) / (WIDE_CSS_PX * devicePixelRatio);
  const span = isNarrow ? closer : shown;
  return { start: (first + end - span) / 2, end: (first + end + span) / 2 };
}

/** Goes to the next (1) or previous (-1) of the listed alerts, in the order of steps; false where there is none. */
export function jump(store: Store, pointing: Pointing, alerts: Alerts, direction: 1 | -1): boolean {
  const [inTime, visited, cursor] = [alerts.inTime.peek(), alerts.visited.peek(), store.cursor.peek()];
  const step = cursor?.step ?? store.scale.peek()?.start ?? 0;
  const current = visited !== null && visited.place === cursor ? visited.id : null;
  const found: Jump | null = jumpFrom(inTime, current, step, direction);
  if (found === null) return false;
  visit(store, pointing, alerts, found.alert, sentenceOfJump(found, inTime.length, direction));
  return true;
}

/** `,` and `.` anywhere but where they are text, until the returned function is called. */
export function listenForJumps(store: Store, pointing: Pointing, alerts: Alerts): () => void {
  const stop = new AbortController();
  document.addEventListener(
    'keydown',
    (event) => {
      const name = pageShortcutOf(event);
      const direction = name === 'nextAlert' ? 1 : name === 'lastAlert' ? -1 : null;
      if (direction === null || store.screen.peek() !== 'heatmap') return;
      if (jump(store, pointing, alerts, direction)) event.preventDefault();
    },
    { signal: stop.signal },
  );
  return () => {
    stop.abort();
  };
}

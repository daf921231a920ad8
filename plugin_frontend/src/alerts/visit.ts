import { batch, effect } from '@preact/signals';
import { pageShortcutOf } from '../keys.ts';
import type { Pointing } from '../pointing.ts';
import type { StepScale, StepWindow } from '../scales.ts';
import type { Store } from '../store.ts';
import { activeRowOf } from '../tree_keys.ts';
import type { Alerts } from './alerts.ts';
import { jumpFrom, sentenceOfJump } from './jumps.ts';
import { SIGNED_KINDS, type Spot } from './kinds.ts';

/** How wide an interval gets that was narrower than a pixel. */
const WIDE_CSS_PX = 8;

/**
 * Shows the cell of an alert or a finding: its stream and metric, its row unfolded and in view, its steps in view, and
 * the cursor on it. Where another stream is shown, that waits for its own, unless somebody turns to something else
 * meanwhile.
 */
export function visit(store: Store, pointing: Pointing, alerts: Alerts, spot: Spot, told: string): void {
  const found = alerts.source.peek();
  if (found !== null) store.chooseStream(found.stream);
  if (found === null || found.stream === store.stream.peek()?.name) {
    show(store, pointing, alerts, spot, told);
    return;
  }
  const stop = effect(() => {
    const isWanted = store.runName.value === found.run && store.streamName.value === found.stream;
    const isHere = store.stream.value?.name === found.stream;
    if (isWanted && !isHere) return;
    queueMicrotask(() => {
      stop();
      if (isWanted)
        show(store, pointing, alerts, spot, `${told}. Showing ${store.stream.peek()?.label ?? ''}`);
    });
  });
}

function show(store: Store, pointing: Pointing, alerts: Alerts, spot: Spot, told: string): void {
  const [tree, grid, scale] = [store.tree.peek(), store.grid.peek(), store.scale.peek()];
  const key = tree?.keys[spot.node];
  if (tree === null || grid === null || scale === null || key === undefined) return;
  const place = { key, step: Math.max(grid.steps[0], spot.steps[0]) };
  const metric = metricToShow(store, spot);
  batch(() => {
    if (metric !== null) store.chooseMetric(metric.name);
    store.outline.reveal(spot.node);
    const ratio = store.size.peek().devicePixelRatio;
    const window = windowOf(spot.steps, scale, ratio, alerts.coveredCssPx() * ratio);
    if (window !== null) store.zoomTo(window);
    store.pointer.value = null;
    store.activeKey.value = key;
    store.cursor.value = place;
    alerts.findings.peek()?.reveal(spot.id);
    alerts.visited.value = {
      id: spot.id,
      place,
      told: metric === null ? told : `${told}. Showing ${metric.label}`,
    };
  });
  pointing.revealRow(activeRowOf(tree, store.nodes.peek(), key));
}

/** The metric that shows an alert best, where it is not the one that is shown already and that one does not show it. */
export function metricToShow(store: Store, spot: Spot): { name: string; label: string } | null {
  if (store.metric.value?.name === spot.metric || SIGNED_KINDS.has(spot.kind ?? '')) return null;
  return store.meta.value?.metrics.find(({ name }) => name === spot.metric) ?? null;
}

/**
 * The steps to show for an interval: null where it is in view and can be seen already. So much at the right is covered
 * by the rail, and in its place the interval would not be seen.
 */
export function windowOf(
  [first, end]: readonly [number, number],
  scale: StepScale,
  devicePixelRatio: number,
  coveredDevicePx = 0,
): StepWindow | null {
  const shown = scale.end - scale.start;
  const free = Math.max(0, 1 - coveredDevicePx / scale.widthDevicePx);
  const isNarrow = (end - first) * scale.widthDevicePx < shown;
  if (!isNarrow && first >= scale.start && first < scale.start + free * shown) return null;
  const closer = ((end - first) * scale.widthDevicePx) / (WIDE_CSS_PX * devicePixelRatio);
  const span = isNarrow ? closer : shown;
  // Of what lasts longer than is shown, the begin, which the cursor is on.
  const middle = end - first > free * span ? first + (free * span) / 4 : (first + end) / 2;
  const start = middle - (free * span) / 2;
  return { start, end: start + span };
}

/** Goes to the next (1) or previous (-1) of the listed alerts, in the order of steps; false where there is none. */
export function jump(store: Store, pointing: Pointing, alerts: Alerts, direction: 1 | -1): boolean {
  const [inTime, visited, cursor] = [alerts.inTime.peek(), alerts.visited.peek(), store.cursor.peek()];
  const step = cursor?.step ?? store.scale.peek()?.start ?? 0;
  const current = visited !== null && visited.place === cursor ? visited.id : null;
  const found = jumpFrom(inTime, current, step, direction);
  if (found === null) return false;
  visit(store, pointing, alerts, found.spot, sentenceOfJump(found, inTime.length, direction));
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

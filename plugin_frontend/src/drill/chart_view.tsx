import { effect, signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Chunk } from '../chunk.ts';
import { cellOfStep } from '../lines/bands.ts';
import { valueScale } from '../lines/value_scale.ts';
import type { Pointing } from '../pointing.ts';
import { stepAt, stepsInView } from '../scales.ts';
import { StepLine } from '../step_line.tsx';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import type { Chart, ChartLine } from './chart.ts';
import type { Drill } from './drill.ts';
import type { LineFeed } from './line_feed.ts';
import { colourOf, lookOf } from './looks.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  drill: Drill;
  feed: LineFeed;
  theme: { readonly value: Theme };
}

/** Apart from the panel, whose words are there at once: uPlot is as large as all other late parts together. */
const chunk = new Chunk(() => import('./chart.ts'));

/** Loads what draws the lines before anybody asks for them. */
export function prepareChart(): void {
  chunk.ask();
}

/** The lines of the cursor's and the pinned tensors, right below the heatmap's steps. */
export function ChartView({ store, pointing, drill, feed, theme }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const heightCssPx = useMemo(() => signal(0), []);
  const loaded = chunk.loaded.value;
  useEffect(() => {
    chunk.ask();
  }, []);
  useEffect(() => {
    const element = host.current;
    if (element === null || loaded === null) return undefined;
    const chart = new loaded.Chart(element, (window) => {
      store.zoomTo(window);
    });
    const observer = new ResizeObserver(([entry]) => (heightCssPx.value = entry?.contentRect.height ?? 0));
    observer.observe(element);
    const stopDrawing = effect(() => {
      show(chart, element, heightCssPx.value, { store, drill, feed, theme });
    });
    const stopListening = listen(element, chart, store, pointing, drill);
    return () => {
      observer.disconnect();
      stopDrawing();
      stopListening();
      chart.destroy();
      pointing.stepElsewhere.value = null;
    };
  }, [store, pointing, drill, feed, theme, heightCssPx, loaded]);
  return (
    <div
      class="chart"
      data-testid="chart"
      role="application"
      aria-roledescription="line chart"
      aria-label={`${store.metric.value?.label ?? ''} by step, mean with min and max. Left and right move the cursor.`}
      tabIndex={0}
      onKeyDown={(event) => {
        const cells = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (cells === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        pointing.moveCursor(0, event.shiftKey ? 10 * cells : cells);
      }}
    >
      <div class="plot" ref={host} />
      <div class="plot-lines">
        <StepLine store={store} step={store.cursor.value?.step ?? null} kind="cursor-line" />
        <StepLine store={store} step={pointing.stepPointed.value} kind="hairline" />
      </div>
      {chunk.failed.value ? (
        <p class="plot-note failed" data-testid="chart-note">
          The chart could not be loaded.{' '}
          <button
            type="button"
            onClick={() => {
              chunk.ask();
            }}
          >
            Try again
          </button>
        </p>
      ) : (
        <p class="plot-note quiet" data-testid="chart-note">
          {noteOf(store, feed, drill)}
        </p>
      )}
    </div>
  );
}

/** Why the chart is empty, or nothing. */
function noteOf(store: Store, feed: LineFeed, drill: Drill): string {
  const [lines, scale, grid] = [feed.lines.value, store.scale.value, drill.subject.value.meta.value];
  if (drill.shown.value.length === 0) return 'Click a cell of the heatmap to see its line.';
  const [begin, end] = scale === null || grid === null ? [0, 1] : stepsInView(scale, grid);
  // Beside a longer run, this one may have ended.
  if (begin >= end) return 'No data in these steps.';
  if (lines === null) return 'Loading…';
  const empty = [...lines.byKey.values()].every((line) => line.mean.every((value) => value === null));
  return empty && lines.byKey.size > 0 ? 'No data in these steps.' : '';
}

function show(
  chart: Chart,
  element: HTMLElement,
  heightCssPx: number,
  { store, drill, feed, theme }: Omit<Props, 'pointing'>,
): void {
  const [scale, metric, known] = [store.scale.value, store.metric.value, feed.lines.value];
  const [{ widthDevicePx, devicePixelRatio }, kind] = [store.size.value, drill.valueScaleKind.value];
  const shown = drill.shown.value;
  if (scale === null || metric === null || heightCssPx < 40) return;
  const lines = shown.flatMap(({ key, style, atCursor }): ChartLine[] => {
    const line = known?.byKey.get(key);
    return line === undefined ? [] : [{ line, look: lookOf(element, style, atCursor) }];
  });
  const fromZero = metric.kind === 'magnitude' || metric.kind === 'count';
  chart.show({
    widthCssPx: widthDevicePx / devicePixelRatio,
    heightCssPx,
    window: { start: scale.start, end: scale.end },
    values: valueScale(
      kind,
      fromZero,
      lines.map(({ line }) => line),
    ),
    kind: metric.kind,
    edges: known?.edges ?? [],
    // The cursor's own line comes last, so that nothing covers it.
    lines: lines.reverse(),
    theme: theme.value,
    colours: {
      text: colourOf(element, '--quiet'),
      grid: colourOf(element, '--line'),
      bad: colourOf(element, '--bad'),
    },
  });
}

/** The pointer over the steps: its step goes to the heatmap and the overview, a click takes the cursor there. */
function listen(host: HTMLElement, chart: Chart, store: Store, pointing: Pointing, drill: Drill): () => void {
  const stop = new AbortController();
  const stepOf = (event: MouseEvent): number | null => {
    const [scale, box] = [store.scale.peek(), chart.over?.getBoundingClientRect()];
    const cssX = event.clientX - (box?.left ?? 0);
    if (scale === null || box === undefined || cssX < 0 || cssX > box.width) return null;
    return stepAt(scale, cssX * store.size.peek().devicePixelRatio);
  };
  const on = (
    type: 'pointermove' | 'pointerleave' | 'click' | 'dblclick',
    listener: (event: MouseEvent) => void,
  ) => {
    host.addEventListener(type, listener, { signal: stop.signal });
  };
  on('pointermove', (event) => {
    pointing.stepElsewhere.value = stepOf(event);
  });
  on('pointerleave', () => {
    pointing.stepElsewhere.value = null;
  });
  on('click', (event) => {
    const step = stepOf(event);
    if (step !== null) drill.moveTo(Math.floor(step));
  });
  on('dblclick', () => {
    store.window.value = null;
  });
  return () => {
    stop.abort();
  };
}

/** A line's figures at a step, or null where it has none. */
export function figuresAt(feed: LineFeed, key: string, step: number | null) {
  const [lines, line] = [feed.lines.value, feed.lines.value?.byKey.get(key)];
  const cell = lines === null || step === null ? null : cellOfStep(lines.edges, step);
  if (line === undefined || cell === null) return null;
  return {
    mean: line.mean[cell] ?? null,
    min: line.min[cell] ?? null,
    max: line.max[cell] ?? null,
    flags: line.flags[cell] ?? 0,
  };
}

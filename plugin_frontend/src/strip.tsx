import { useRef, useState } from 'preact/hooks';
import { px } from './format.ts';
import { type Cluster, type Look, clustersOf, looksOf, windowAround } from './marks.ts';
import { sentencesOf, summaryOf } from './sentences.ts';
import type { Store } from './store.ts';
import { stepCssX } from './viewport.ts';

/** Marks have at least this much room, which is their width. */
const MARK_CSS_PX = 12;
const GAP_CSS_PX = 8;

const SHAPES: Record<Look, string> = {
  diverged: 'M6 2 L11 8 L6 14 L1 8 Z',
  skipped: 'M6 3 L11.5 13 H0.5 Z',
  not_stepped: 'M10 8 A4 4 0 1 1 2 8 A4 4 0 1 1 10 8 Z',
  other: 'M2 4 H10 V12 H2 Z',
  rewind: 'M6 0 V16 M6 8 H-2 M2 4 L-2 8 L2 12',
  resume: 'M6 0 V16',
};

/** What happened at single steps, above the heatmap's columns; one stop for the Tab key, arrows go from mark to mark. */
export function Strip({ store }: { store: Store }) {
  const strip = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<number | null>(null);
  const [entry, setEntry] = useState<number | null>(null);
  const marks = store.marks.value;
  const summary = summaryOf(marks, store.notes.value?.complete ?? true);
  const places = placesInView(store);
  const entered = places.find(({ cluster }) => cluster.at === entry) ?? places[0];
  const told = places.find(({ cluster }) => cluster.at === shown);
  return (
    <>
      <div class="strip-head" data-testid="strip-summary" title={summary}>
        {summary}
      </div>
      <div class="strip" data-testid="strip" role="group" aria-label={summary} ref={strip}>
        {places.map(({ cluster, cssX }) => (
          <button
            key={cluster.at}
            type="button"
            class="mark"
            data-testid="mark"
            data-looks={looksOf(cluster).join(' ')}
            style={{ left: px(cssX) }}
            tabIndex={cluster === entered?.cluster ? 0 : -1}
            aria-label={sentencesOf(cluster.marks).join('. ')}
            onPointerEnter={() => {
              setShown(cluster.at);
            }}
            onPointerLeave={() => {
              setShown(null);
            }}
            onFocus={(event) => {
              setEntry(cluster.at);
              if (event.currentTarget.matches(':focus-visible')) setShown(cluster.at);
            }}
            onBlur={() => {
              setShown(null);
            }}
            onKeyDown={(event) => {
              if (event.key === 'Escape') setShown(null);
              if (step(event.currentTarget, event.key)) event.preventDefault();
            }}
            onClick={() => {
              zoomInto(store, cluster);
            }}
          >
            <Shapes looks={looksOf(cluster)} />
          </button>
        ))}
      </div>
      {told !== undefined && (
        <div
          class="tooltip"
          data-testid="strip-tooltip"
          role="tooltip"
          style={besides(strip.current, told.cssX)}
        >
          {sentencesOf(told.cluster.marks).map((sentence, i) => (
            <div key={i} class="sentence">
              <bdi>{sentence}</bdi>
            </div>
          ))}
        </div>
      )}
    </>
  );
}

function placesInView(store: Store): { cluster: Cluster; cssX: number }[] {
  const [scale, viewport] = [store.scale.value, store.viewport.value];
  if (scale === null) return [];
  const widthCssPx = viewport.widthDevicePx / viewport.devicePixelRatio;
  const clusters = clustersOf(store.marks.value, widthCssPx / (scale.end - scale.start), MARK_CSS_PX);
  return clusters
    .map((cluster) => ({ cluster, cssX: stepCssX(viewport, scale, cluster.at) }))
    .filter(({ cssX }) => cssX >= -MARK_CSS_PX && cssX <= widthCssPx + MARK_CSS_PX);
}

function Shapes({ looks }: { looks: readonly Look[] }) {
  return (
    <svg viewBox="0 0 12 16" width="12" height="16" aria-hidden="true">
      {looks.map((look, i) => (
        // Beside the line of a session, or it would hide it.
        <path key={look} class={look} d={SHAPES[look]} transform={i === 0 ? undefined : 'translate(8 0)'} />
      ))}
    </svg>
  );
}

function zoomInto(store: Store, cluster: Cluster): void {
  const [scale, grid] = [store.scale.peek(), store.grid.peek()];
  if (scale !== null && grid !== null) store.zoomTo(windowAround(cluster, grid.cell, scale));
}

/** Moves the focus from mark to mark; whether the key meant that. */
function step(mark: HTMLElement, key: string): boolean {
  const all = [...(mark.parentElement?.children ?? [])];
  const targets: Record<string, Element | null | undefined> = {
    ArrowLeft: mark.previousElementSibling,
    ArrowRight: mark.nextElementSibling,
    Home: all[0],
    End: all.at(-1),
  };
  if (!(key in targets)) return false;
  const target = targets[key];
  if (target instanceof HTMLElement) target.focus();
  return true;
}

/** Below the strip, in the direction in which the page has more room. */
function besides(strip: HTMLElement | null, cssX: number) {
  const box = strip?.getBoundingClientRect() ?? { x: 0, bottom: 0 };
  const [x, width] = [box.x + cssX, window.innerWidth];
  const across = x < width / 2 ? { left: px(x + GAP_CSS_PX) } : { right: px(width - x + GAP_CSS_PX) };
  return { ...across, top: px(box.bottom + GAP_CSS_PX) };
}

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Axis } from './axis.tsx';
import { BesideTooltip, FirstHeading, Hairline, Second, ValueBeside, besideWords } from './compare.tsx';
import type { Figures } from './figures.ts';
import { plural } from './format.ts';
import { HeatmapView } from './heatmap_view.tsx';
import { Legend } from './legend.tsx';
import type { LinkedRun } from './linked.ts';
import type { Pointed, Pointing } from './pointing.ts';
import { Message, Notices } from './states.tsx';
import { Strip } from './strip.tsx';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { Toolbar } from './toolbar.tsx';
import { Tooltip } from './tooltip.tsx';
import { TreeButtons, TreeView } from './tree.tsx';
import { rowCssPx } from './viewport.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  figures: Figures;
  theme: { readonly value: Theme };
  linked: LinkedRun;
  actions?: ComponentChildren;
}

export function App({ store, pointing, figures, theme, linked, actions }: Props) {
  return (
    <main class="app">
      <Toolbar store={store}>{actions}</Toolbar>
      <Notices store={store} />
      {store.screen.value === 'heatmap' ? (
        <>
          <div class="caption">
            <Caption store={store} />
            <Legend store={store} shared={linked.name.value !== null} />
          </div>
          <Picture store={store} pointing={pointing} figures={figures} theme={theme} linked={linked} />
        </>
      ) : (
        <Message store={store} />
      )}
    </main>
  );
}

/** In words: what the colours show, and what is in view. Its height stays, or zooming would move the heatmap. */
function Caption({ store }: { store: Store }) {
  const [metric, view, scale] = [store.metric.value, store.view.value, store.scale.value];
  const bad = store.painted.value.nonFiniteCells;
  return (
    <div class="words">
      <div class="line">
        <h1 data-testid="caption">
          {metric?.label}, {view?.label}
        </h1>
        <bdi class="quiet" data-testid="stream-label">
          {store.stream.value?.label}
        </bdi>
        {scale !== null && (
          <span class="quiet" data-testid="cell-steps">
            {/* Where only coarser rows are left, a cell does not tell of its own steps alone. */}
            {store.meta.value?.overview === true ? 'overview, drawn in cells of' : 'each cell'}{' '}
            {plural(scale.cellSteps, 'step')}
          </span>
        )}
        {bad > 0 && (
          <span class="bad" data-testid="non-finite-count">
            {plural(bad, 'cell')} with NaN or Inf in view
          </span>
        )}
      </div>
      <p class="quiet">{metric?.meaning}</p>
    </div>
  );
}

/**
 * Tree, axis and heatmap. All of them stay in place in a box that scrolls an empty page behind them, and are drawn
 * for the scroll position: so the browser's own scrolling moves the tree and the canvas in the same frame.
 */
function Picture({ store, pointing, figures, theme, linked }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const heatmap = useRef<HTMLDivElement>(null);
  const second = useRef<HTMLDivElement>(null);
  const scrollCssPx = store.scrollCssPx.value;
  useEffect(() => {
    if (scroller.current !== null && Math.abs(scroller.current.scrollTop - scrollCssPx) >= 1)
      scroller.current.scrollTop = scrollCssPx;
  }, [scrollCssPx]);
  const compared = linked.name.value !== null;
  const strip = store.marks.value.length > 0;
  const rowsCssPx = store.nodes.value.length * rowCssPx(store.size.value.devicePixelRatio);
  const beside = {
    view: (pointed: Pointed) => <ValueBeside store={store} linked={linked} pointed={pointed} />,
    words: (pointed: Pointed) => besideWords(store, linked, pointed),
  };
  return (
    <>
      <div
        ref={scroller}
        class="scroller"
        onScroll={(event) => {
          store.scrollCssPx.value = event.currentTarget.scrollTop;
        }}
      >
        <div
          class={compared ? 'page compared' : 'page'}
          style={{
            height: `calc(${rowsCssPx}px + var(--head) + ${strip ? 'var(--strip)' : '0px'} + var(--beside, 0px))`,
          }}
        >
          <div class={strip ? 'pinned with-strip' : 'pinned'}>
            {compared && <FirstHeading store={store} linked={linked} />}
            <TreeButtons store={store} />
            <Axis store={store} />
            {strip && <Strip store={store} />}
            <TreeView store={store} pointing={pointing} />
            <HeatmapView store={store} pointing={pointing} theme={theme} element={heatmap}>
              {compared && <Hairline store={store} pointing={pointing} />}
            </HeatmapView>
          </div>
          {compared && (
            <Second store={store} linked={linked} pointing={pointing} theme={theme} element={second} />
          )}
        </div>
      </div>
      <Tooltip
        store={store}
        pointing={pointing}
        figures={figures}
        heatmap={linked.pointed.value ? second : heatmap}
        beside={beside}
      />
      {compared && (
        <BesideTooltip store={store} linked={linked} pointing={pointing} first={heatmap} second={second} />
      )}
    </>
  );
}

import { type ReadonlySignal, useComputed } from '@preact/signals';
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Alerts } from './alerts/alerts.ts';
import { AlertsToggle } from './alerts/toggle.tsx';
import type { Api } from './api.ts';
import { Axis } from './axis.tsx';
import type { Drill } from './drill/drill.ts';
import { plural } from './format.ts';
import { HeatmapView } from './heatmap_view.tsx';
import { Legend } from './legend.tsx';
import {
  AlertMarks,
  AlertRail,
  DrillDown,
  FirstHeading,
  Hairline,
  LateProblem,
  Minimap,
  RailRoom,
  Second,
  Strip,
  Tips,
} from './late.tsx';
import { hasMinimap } from './minimap_model.ts';
import type { LinkedRun } from './linked.ts';
import type { Navigation } from './navigation.ts';
import { OverviewStrip } from './overview/overview.tsx';
import type { OverviewFeed } from './overview/overview_feed.ts';
import type { Pointing } from './pointing.ts';
import type { Ranking } from './ranking.ts';
import { Message, Notices, Room } from './states.tsx';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { Toolbar } from './toolbar.tsx';
import { TreeView } from './tree.tsx';
import { TreeButtons } from './tree_head.tsx';
import { TreeTools } from './tree_tools.tsx';
import { rowCssPx } from './viewport.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  navigation: Navigation;
  ranking: Ranking;
  drill: Drill;
  overview: OverviewFeed;
  alerts: Alerts;
  theme: ReadonlySignal<Theme>;
  linked: LinkedRun;
  api: Api;
  visible: ReadonlySignal<boolean>;
  failed: (error: unknown) => void;
  actions?: ComponentChildren;
}

/** `actions` stand at the toolbar's end. */
export function App(props: Props) {
  const { store, pointing, overview, alerts, theme, linked, actions } = props;
  const heatmap = useRef<HTMLDivElement>(null);
  return (
    <main class="app">
      <Toolbar store={store}>
        <AlertsToggle store={store} alerts={alerts} />
        {actions}
      </Toolbar>
      <Notices store={store}>
        <LateProblem />
      </Notices>
      {store.screen.value === 'heatmap' ? (
        <>
          <OverviewStrip store={store} pointing={pointing} feed={overview} theme={theme} />
          <div class="caption">
            <Caption store={store} />
            <Legend store={store} shared={linked.name.value !== null} />
          </div>
          <TreeTools store={store} pointing={pointing} ranking={props.ranking} />
          <div class="with-rail">
            <Picture {...props} heatmap={heatmap} />
            <AlertRail store={store} pointing={pointing} alerts={alerts} />
          </div>
          <DrillDown {...props} heatmap={heatmap} />
        </>
      ) : store.screen.value === 'loading' ? (
        <div class="with-rail">
          <Room store={store} />
          <RailRoom alerts={alerts} />
        </div>
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
        {store.stream.value?.sampled === true && (
          <span class="quiet" data-testid="sampled" title="A measured step stands for those up to the next">
            sampled
          </span>
        )}
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
function Picture({
  store,
  pointing,
  navigation,
  drill,
  alerts,
  theme,
  linked,
  heatmap,
  api,
}: Props & { heatmap: RefObject<HTMLDivElement | null> }) {
  const scroller = useRef<HTMLDivElement>(null);
  const second = useRef<HTMLDivElement>(null);
  const scrollCssPx = store.scrollCssPx.value;
  useEffect(() => {
    if (scroller.current !== null && Math.abs(scroller.current.scrollTop - scrollCssPx) >= 1)
      scroller.current.scrollTop = scrollCssPx;
  }, [scrollCssPx]);
  const compared = linked.name.value !== null;
  const strip = store.marks.value.length > 0;
  const minimap = useComputed(() => {
    const [grid, { widthDevicePx }] = [store.grid.value, store.size.value];
    return linked.name.value === null && grid !== null && hasMinimap(grid, widthDevicePx);
  });
  const besides = [
    'var(--head)',
    'var(--beside, 0px)',
    ...(strip ? ['var(--strip)'] : []),
    ...(minimap.value ? ['var(--minimap)'] : []),
  ];
  const rowsCssPx = store.nodes.value.length * rowCssPx(store.size.value.devicePixelRatio);
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
          style={{ height: `calc(${rowsCssPx}px + ${besides.join(' + ')})` }}
        >
          <div class={strip ? 'pinned with-strip' : 'pinned'}>
            {compared && <FirstHeading store={store} linked={linked} />}
            <TreeButtons store={store} />
            <Axis store={store} navigation={navigation} />
            {strip && <Strip store={store} />}
            <TreeView store={store} pointing={pointing} />
            <HeatmapView
              store={store}
              pointing={pointing}
              navigation={navigation}
              drill={drill}
              theme={theme}
              element={heatmap}
              minimap={minimap}
            >
              <AlertMarks store={store} pointing={pointing} alerts={alerts} />
              {compared && <Hairline store={store} pointing={pointing} />}
            </HeatmapView>
            {minimap.value && <Minimap store={store} theme={theme} />}
          </div>
          {compared && (
            <Second
              {...{ store, linked, pointing, navigation, theme, drill }}
              element={second}
              first={heatmap}
            />
          )}
        </div>
      </div>
      <Tips {...{ store, api, pointing, linked, drill, alerts, second }} />
    </>
  );
}

import { useComputed } from '@preact/signals';
import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Alerts } from './alerts/alerts.ts';
import { MarkTold, alertWords, alertsPointedAt } from './alerts/mark_told.tsx';
import { AlertMarks, marksInView } from './alerts/marks_view.tsx';
import { AlertRail, AlertsToggle } from './alerts/rail.tsx';
import { Axis } from './axis.tsx';
import { type DrillViews, DrillPanel } from './drill/panel.tsx';
import {
  BesideTooltip,
  FirstHeading,
  Hairline,
  Second,
  ToldFirst,
  ValueBeside,
  besideWords,
} from './compare.tsx';
import type { Figures } from './figures.ts';
import { plural } from './format.ts';
import { HeatmapView } from './heatmap_view.tsx';
import { Legend } from './legend.tsx';
import { hasMinimap } from './minimap_model.ts';
import { Minimap } from './minimap.tsx';
import type { LinkedRun } from './linked.ts';
import type { Navigation } from './navigation.ts';
import { OverviewStrip } from './overview/overview.tsx';
import type { OverviewFeed } from './overview/overview_feed.ts';
import type { Pointed, Pointing } from './pointing.ts';
import type { Ranking } from './ranking.ts';
import { Message, Notices } from './states.tsx';
import { Strip } from './strip.tsx';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { Toolbar } from './toolbar.tsx';
import { Tooltip } from './tooltip.tsx';
import { TreeView } from './tree.tsx';
import { TreeButtons } from './tree_head.tsx';
import { TreeTools } from './tree_tools.tsx';
import { rowCssPx } from './viewport.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  navigation: Navigation;
  figures: Figures;
  ranking: Ranking;
  drillDown: DrillViews;
  overview: OverviewFeed;
  alerts: Alerts;
  theme: { readonly value: Theme };
  linked: LinkedRun;
  actions?: ComponentChildren;
}

/** `actions` stand at the toolbar's end. */
export function App(props: Props) {
  const { store, pointing, drillDown, overview, alerts, theme, linked, actions } = props;
  const heatmap = useRef<HTMLDivElement>(null);
  return (
    <main class="app">
      <Toolbar store={store}>
        <AlertsToggle store={store} alerts={alerts} />
        {actions}
      </Toolbar>
      <Notices store={store} />
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
          <DrillPanel store={store} pointing={pointing} theme={theme} heatmap={heatmap} {...drillDown} />
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
function Picture({
  store,
  pointing,
  navigation,
  figures,
  drillDown,
  alerts,
  theme,
  linked,
  heatmap,
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
  const marks = useMemo(() => marksInView(store, alerts), [store, alerts]);
  // Marks stand on the first heatmap alone.
  const marked = (pointed: Pointed) =>
    linked.pointed.value ? [] : alertsPointedAt(store, marks.value, pointed);
  const beside = {
    above: (pointed: Pointed) => <ToldFirst store={store} linked={linked} pointed={pointed} />,
    view: (pointed: Pointed) => (
      <>
        <MarkTold store={store} alerts={marked(pointed)} />
        {!linked.pointed.value && <ValueBeside store={store} linked={linked} pointed={pointed} />}
      </>
    ),
    words: (pointed: Pointed) =>
      [alertWords(marked(pointed)), besideWords(store, linked, pointed)].filter(Boolean).join('. '),
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
              drill={drillDown.drill}
              theme={theme}
              element={heatmap}
              minimap={minimap}
            >
              <AlertMarks store={store} pointing={pointing} alerts={alerts} marks={marks} />
              {compared && <Hairline store={store} pointing={pointing} />}
            </HeatmapView>
            {minimap.value && <Minimap store={store} theme={theme} />}
          </div>
          {compared && (
            <Second
              {...{ store, linked, pointing, navigation, theme }}
              drill={drillDown.drill}
              element={second}
              first={heatmap}
            />
          )}
        </div>
      </div>
      <Tooltip
        {...{ store, pointing, figures, beside }}
        heatmap={linked.pointed.value ? second : heatmap}
        atCursor={!drillDown.drill.open.value}
      />
      {compared && (
        <BesideTooltip store={store} linked={linked} pointing={pointing} first={heatmap} second={second} />
      )}
    </>
  );
}

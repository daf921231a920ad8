import { Fragment, h, render as renderInto } from 'preact';
import { AlertFeed } from './alerts/alert_feed.ts';
import { Alerts } from './alerts/alerts.ts';
import { remembered } from './alerts/remembered.ts';
import { listenForJumps } from './alerts/visit.ts';
import { Api } from './api.ts';
import { App } from './app.tsx';
import { CopyLink } from './copy_link.tsx';
import { Drill } from './drill/drill.ts';
import { LineFeed } from './drill/line_feed.ts';
import { RowFeed } from './drill/row_feed.ts';
import { Figures } from './figures.ts';
import { Help } from './help.tsx';
import { installHooks } from './hooks.ts';
import { Live } from './live.ts';
import { Navigation } from './navigation.ts';
import { NoteFeed } from './note_feed.ts';
import { OverviewFeed } from './overview/overview_feed.ts';
import { Pointing } from './pointing.ts';
import { Ranking } from './ranking.ts';
import { RegexSearch } from './regex_search.ts';
import { Store } from './store.ts';
import alertStyles from './styles/alerts.css?inline';
import controls from './styles/controls.css?inline';
import drills from './styles/drill.css?inline';
import lines from './styles/lines.css?inline';
import navigating from './styles/navigation.css?inline';
import outline from './styles/outline.css?inline';
import picture from './styles/picture.css?inline';
import range from './styles/range.css?inline';
import strip from './styles/strip.css?inline';
import themes from './styles/theme.css?inline';
import words from './styles/words.css?inline';
import { watchTheme } from './theme.ts';
import { TileStore } from './tile_store.ts';
import plot from 'uplot/dist/uPlot.min.css?inline';
import { isVisible, watchVisibility } from './visibility.ts';
import { layerFields, placeFields } from './url_fields.ts';
import { UrlSync, addressOf } from './url_sync.ts';

/** The routes are one folder above the bundle, under any path prefix. */
function routesUrl(): URL {
  const bundle = import.meta.url;
  return new URL('..', bundle);
}

/** Called by TensorBoard in the tab's frame. */
export function render(): void {
  document.title = 'Grad Health';
  document.documentElement.lang = 'en';
  const sheet = new CSSStyleSheet();
  const sheets = [themes, controls, plot, picture, outline, range, strip, words];
  sheet.replaceSync([...sheets, lines, drills, navigating, alertStyles].join(''));
  document.adoptedStyleSheets = [sheet];
  const theme = watchTheme();

  const api = new Api(routesUrl());
  const tiles = new TileStore(
    async (layer, ids, signal) => {
      const loaded = await api.tiles(layer, ids, signal);
      const known = store.meta.peek()?.revision ?? 0;
      // Newer than the tree on the page: if nodes have changed as well, its names must follow at once.
      if (loaded.some((tile) => tile.revision > known)) void live.poll();
      return loaded;
    },
    {
      changed: () => store.tilesArrived.value++,
      failed: (error) => {
        live.failed(error);
      },
    },
  );
  const store = new Store(tiles);
  const pointing = new Pointing(store);
  const navigation = new Navigation(store, pointing);
  const live = new Live(store, api, isVisible);
  const failed = (error: unknown) => {
    live.failed(error);
  };
  // What decides which rows there are, such as a filter, goes before the place among them.
  const fields = [...layerFields(store), ...placeFields(store, navigation)];
  const url = new UrlSync(store, addressOf(window), fields, isVisible);
  const ranking = new Ranking(api, store, failed);
  const alerts = new Alerts(remembered('gradhealth.alerts'), () => window.innerWidth);

  for (const event of ['resize', 'focus']) {
    window.addEventListener(event, () => {
      live.wake();
      url.write();
    });
  }
  document.addEventListener('visibilitychange', () => {
    live.wake();
  });
  installHooks(store, pointing);
  const visible = watchVisibility();
  const drill = new Drill(store);
  const drillDown = {
    drill,
    lines: new LineFeed(api, store, drill, visible, failed),
    rows: new RowFeed(api, store, drill, visible, failed),
  };
  const overview = new OverviewFeed(api, store, visible, failed);
  const actions = h(Fragment, null, h(CopyLink, { link: () => url.link() }), h(Help, null));
  const figures = new Figures(api, store);
  const views = { store, pointing, navigation, figures, ranking, drillDown, overview, alerts, theme };
  renderInto(h(App, { ...views, actions }), document.body);
  navigation.start();
  url.start();
  live.start();
  ranking.start();
  drillDown.lines.start();
  drillDown.rows.start();
  overview.start();
  new RegexSearch(store).start();
  new AlertFeed(api, store, alerts, isVisible).start();
  listenForJumps(store, pointing, alerts);
  new NoteFeed(api, store, failed).start();
}

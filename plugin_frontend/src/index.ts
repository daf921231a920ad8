import { Fragment, h, render as renderInto } from 'preact';
import { Alerts } from './alerts/alerts.ts';
import { remembered } from './alerts/remembered.ts';
import { Api } from './api.ts';
import { App } from './app.tsx';
import { ComparePicker } from './compare_picker.tsx';
import { CopyLink } from './copy_link.tsx';
import { Drill } from './drill/drill.ts';
import { ExportMenu } from './export/menu.tsx';
import { Help } from './help.tsx';
import { installHooks } from './hooks.ts';
import { loadLater } from './late.tsx';
import { keepRowInView } from './kept_row.ts';
import { LinkedRun } from './linked.ts';
import { Live } from './live.ts';
import { Navigation } from './navigation.ts';
import { NoteFeed } from './note_feed.ts';
import { OverviewFeed } from './overview/overview_feed.ts';
import { Pointing } from './pointing.ts';
import { Ranking } from './ranking.ts';
import { Store } from './store.ts';
import alertStyles from './styles/alerts.css?inline';
import compare from './styles/compare.css?inline';
import controls from './styles/controls.css?inline';
import navigating from './styles/navigation.css?inline';
import outline from './styles/outline.css?inline';
import overviews from './styles/overview.css?inline';
import picker from './styles/picker.css?inline';
import picture from './styles/picture.css?inline';
import range from './styles/range.css?inline';
import strip from './styles/strip.css?inline';
import themes from './styles/theme.css?inline';
import words from './styles/words.css?inline';
import { adopt } from './styles.ts';
import { watchTheme } from './theme.ts';
import { TileStore } from './tile_store.ts';
import { isVisible, watchVisibility } from './visibility.ts';
import { besideFields, outlineFields } from './url_choices.ts';
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
  const sheets = [themes, controls, picture, outline, range, strip, words, overviews, navigating];
  adopt([...sheets, alertStyles, compare, picker].join(''));
  const theme = watchTheme();

  const api = new Api(routesUrl());
  const tilesFor = (page: () => Store | LinkedRun, failed: (error: unknown) => void) =>
    new TileStore(
      async (layer, ids, signal) => {
        const loaded = await api.tiles(layer, ids, signal);
        const known = page().meta.peek()?.revision ?? 0;
        // Newer than the tree on the page: if nodes have changed as well, its names must follow at once.
        if (loaded.some((tile) => tile.revision > known)) void live.poll();
        return loaded;
      },
      { changed: () => page().tilesArrived.value++, failed },
    );
  const store: Store = new Store(
    tilesFor(
      () => store,
      (error) => {
        live.failed(error);
      },
    ),
  );
  const linked: LinkedRun = new LinkedRun(
    store,
    tilesFor(
      () => linked,
      (error) => {
        linked.failed(error);
      },
    ),
    api,
  );
  const pointing = new Pointing(store);
  const navigation = new Navigation(store, pointing);
  const live = new Live(store, api, isVisible);
  const failed = (error: unknown) => {
    live.failed(error);
  };
  const visible = watchVisibility();
  const drill = new Drill(store, linked);
  const overview = new OverviewFeed(api, store, visible, failed);
  // What decides which rows there are, such as a filter, goes before the place among them.
  const fields = [
    ...layerFields(store),
    ...outlineFields(store),
    ...besideFields(store, drill, overview, linked),
    ...placeFields(store, navigation),
  ];
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
  window.addEventListener('pagehide', () => {
    url.write();
  });
  installHooks(store, pointing, linked);
  const actions = h(
    Fragment,
    null,
    h(ComparePicker, { store, linked }),
    h(ExportMenu, { store, linked, alerts, api, theme }),
    h(CopyLink, { link: () => url.link() }),
    h(Help, null),
  );
  const views = { store, pointing, navigation, ranking, drill, overview, alerts, theme, linked };
  renderInto(h(App, { ...views, api, visible, failed, actions }), document.body);
  for (const part of [navigation, url, live, linked, ranking, overview]) part.start();
  keepRowInView(store, pointing, alerts);
  new NoteFeed(api, store, failed).start();
  loadLater(store, linked, alerts, api);
}

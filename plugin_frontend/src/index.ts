import { h, render as renderInto } from 'preact';
import { Api } from './api.ts';
import { App } from './app.tsx';
import { ComparePicker } from './compare_picker.tsx';
import { ExportMenu } from './export/menu.tsx';
import { Figures } from './figures.ts';
import { installHooks } from './hooks.ts';
import { LinkedRun } from './linked.ts';
import { Live } from './live.ts';
import { NoteFeed } from './note_feed.ts';
import { Pointing } from './pointing.ts';
import { Store } from './store.ts';
import compare from './styles/compare.css?inline';
import controls from './styles/controls.css?inline';
import exporting from './styles/export.css?inline';
import picker from './styles/picker.css?inline';
import picture from './styles/picture.css?inline';
import strip from './styles/strip.css?inline';
import themes from './styles/theme.css?inline';
import words from './styles/words.css?inline';
import { watchTheme } from './theme.ts';
import { TileStore } from './tile_store.ts';

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
  sheet.replaceSync(themes + controls + compare + exporting + picker + picture + strip + words);
  document.adoptedStyleSheets = [sheet];
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
  const live = new Live(store, api, () => document.visibilityState === 'visible' && window.innerHeight > 0);

  // TensorBoard hides a tab by giving its frame no height.
  for (const event of ['resize', 'focus']) {
    window.addEventListener(event, () => {
      live.wake();
    });
  }
  document.addEventListener('visibilitychange', () => {
    live.wake();
  });
  installHooks(store, pointing, linked);
  const actions = h(
    'div',
    { class: 'actions' },
    h(ComparePicker, { store, linked }),
    h(ExportMenu, { store, linked, api, theme }),
  );
  const figures = new Figures(api, store);
  renderInto(h(App, { store, pointing, figures, theme, linked, actions }), document.body);
  live.start();
  linked.start();
  new NoteFeed(api, store, (error) => {
    live.failed(error);
  }).start();
}

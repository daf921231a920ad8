import { describe, expect, it } from 'vitest';
import { Drill } from '../src/drill/drill.ts';
import { LinkedRun } from '../src/linked.ts';
import { openAll, openFirstLook } from '../src/model.ts';
import { Navigation } from '../src/navigation.ts';
import { OverviewFeed } from '../src/overview/overview_feed.ts';
import { Pointing } from '../src/pointing.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { besideFields, outlineFields } from '../src/url_choices.ts';
import { layerFields, placeFields } from '../src/url_fields.ts';
import { withParts } from '../src/url_state.ts';
import { UrlSync } from '../src/url_sync.ts';
import { metaOf, nodesFrom, runOf } from './support/meta.ts';

const SECOND = 'exp2/gradhealth';
const never = () => new Promise<never>(() => undefined);

/** Thirty modules with a tensor each: more rows than the first look unfolds. */
const MODULES = Array.from({ length: 30 }, (_, i) => `layer${i}`);
const NODES = nodesFrom(
  ['', ...MODULES, ...MODULES.map((name) => `${name}.weight`)],
  [-1, ...MODULES.map(() => 0), ...MODULES.map((_, i) => i + 1)],
);

/** A page of which all is in place but the browser; its second run has steps that the first has not. */
function load(hash = '') {
  const silent = { changed: () => undefined, failed: () => undefined };
  const tiles = () => new TileStore(() => Promise.resolve([]), silent);
  const store = new Store(tiles());
  const second = metaOf({ run: SECOND, steps: [0, 60_000], nodes: NODES });
  const linked = new LinkedRun(store, tiles(), { meta: () => Promise.resolve(second) });
  const navigation = new Navigation(store, new Pointing(store));
  const drill = new Drill(store);
  const overview = new OverviewFeed({ overview: never }, store, store.cursorShown, () => undefined);
  const fields = [
    ...layerFields(store),
    ...outlineFields(store),
    ...besideFields(store, drill, overview, linked),
    ...placeFields(store, navigation),
  ];
  let changed: () => void = () => undefined;
  const bar = {
    hash,
    get href() {
      return `http://host/${bar.hash}`;
    },
    replaceHash: (next: string) => {
      bar.hash = next;
    },
    watch: (told: () => void) => {
      changed = told;
    },
  };
  const url = new UrlSync(store, bar, fields, () => true);
  navigation.start();
  url.start();
  linked.start();
  store.receiveRuns([runOf(), runOf({ name: SECOND, label: 'exp2' })]);
  store.receiveMeta(metaOf({ nodes: NODES }));
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 180, devicePixelRatio: 1 };
  const enter = (next: Record<string, string>) => {
    bar.hash = withParts('', new Map(Object.entries(next)));
    changed();
  };
  return { store, linked, drill, overview, url, enter };
}

function stateOf({ store, linked, drill, overview }: ReturnType<typeof load>) {
  return {
    ...{ filter: store.filter.value, order: store.order.value, root: store.rootKey.value },
    ...{ open: new Set(store.open.value), nodes: Array.from(store.nodes.value), second: linked.name.value },
    ...{ overview: overview.open.value, panel: drill.open.value, pins: drill.pins.value },
    ...{ window: store.window.value, cell: drill.cell.value, axis: store.scale.value?.end },
  };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a link to a page with all its parts', () => {
  it('brings all of them back, also steps that the second run alone has', async () => {
    const page = load();
    const { store, linked, drill } = page;
    store.setOpen(openAll(store.tree.value ?? none()));
    store.filter.value = { ...store.filter.value, text: '/layer1~?!/' };
    store.order.value = { by: 'metric', metric: 'mean', descending: false, flat: true };
    store.rootKey.value = 'module:layer12';
    store.cursor.value = { key: 'tensor:layer12.weight', step: 4_321 };
    drill.enter('pointer');
    drill.togglePin();
    drill.togglePin('module:layer3');
    page.overview.open.value = false;
    linked.choose(SECOND);
    await turn();
    store.zoomTo({ start: 30_000, end: 40_000 });
    const other = load(new URL(page.url.link()).hash);
    await turn();
    expect(stateOf(other)).toEqual(stateOf(page));
    expect(other.store.window.value).toEqual({ start: 30_000, end: 40_000 });
  });

  it('folds the whole tree, whatever filter has been there before', () => {
    const { store, enter } = load();
    const tree = store.tree.value ?? none();
    store.filter.value = { ...store.filter.value, text: 'layer7' };
    enter({ open: 'all~' });
    expect(store.filter.value.text).toBe('');
    expect(new Set(store.open.value)).toEqual(new Set(openAll(tree)));
    expect(store.nodes.value.length).toBe(61);
  });

  it('does no harm, whatever somebody has written into it', async () => {
    const page = load();
    const hostile = [
      '',
      '~',
      '!~',
      '%E0',
      'metric~=lost~',
      'metric~',
      '__proto__',
      '<img src=x>',
      'x'.repeat(5_000),
    ];
    const keys = ['kinds', 'order', 'root', 'overview', 'panel', 'pins'];
    for (const text of hostile) {
      page.enter({ ...Object.fromEntries(keys.map((key) => [key, text])), with: text, steps: '1e15_2e15' });
      await turn();
      expect(stateOf(page)).toMatchObject({
        ...{ filter: { text: '', kinds: [] }, order: { by: 'model' }, root: null, pins: [] },
        ...{ overview: true, panel: false, axis: 5_000 },
      });
      expect(page.store.nodes.value).toEqual(load().store.nodes.value);
      expect(page.store.open.value).toEqual(openFirstLook(page.store.tree.value ?? none()));
    }
  });
});

function none(): never {
  throw new Error('no tree');
}

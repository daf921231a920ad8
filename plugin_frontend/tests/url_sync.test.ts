import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { signal } from '@preact/signals';
import { openAll, openFirstLook } from '../src/model.ts';
import { Navigation } from '../src/navigation.ts';
import { Pointing } from '../src/pointing.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { layerFields, placeFields, signalField } from '../src/url_fields.ts';
import { truth } from '../src/url_state.ts';
import { UrlSync } from '../src/url_sync.ts';
import { metaOf, nodesFrom, runOf } from './support/meta.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A browser's address bar. */
class Bar {
  hash = '';
  writes = 0;
  private changed: () => void = never;

  get href() {
    return `http://host/tb/${this.hash}`;
  }

  replaceHash(hash: string) {
    this.hash = hash;
    this.writes++;
  }

  watch(changed: () => void) {
    this.changed = changed;
  }

  /** Somebody else writes into it. */
  enter(hash: string) {
    this.hash = hash;
    this.changed();
  }
}

const RUNS = [runOf(), runOf({ name: 'exp2/gradhealth', label: 'exp2' })];
const NODES = nodesFrom(
  ['', ...Array.from({ length: 60 }, (_, i) => `layer${i}`)],
  [-1, ...Array.from({ length: 60 }, () => 0)],
);

/** A page that has just been loaded. `lay` tells it its size, as the browser does once there is a heatmap. */
function load(bar: Bar, visible = { now: true }) {
  const events = { changed: () => undefined, failed: () => undefined };
  const store = new Store(new TileStore(() => Promise.resolve([]), events));
  const navigation = new Navigation(store, new Pointing(store));
  const rail = signal(true);
  const fields = [
    ...layerFields(store),
    signalField('rail', rail, truth, true),
    ...placeFields(store, navigation),
  ];
  const url = new UrlSync(store, bar, fields, () => visible.now);
  navigation.start();
  url.start();
  const lay = () => (store.size.value = { widthDevicePx: 1_000, heightDevicePx: 180, devicePixelRatio: 1 });
  const arrive = (run = 'exp1/gradhealth') => {
    store.receiveRuns(RUNS);
    store.receiveMeta(metaOf({ run, nodes: NODES }));
    lay();
  };
  return { store, navigation, url, rail, arrive, lay };
}

/** Everything that a link carries, as far as this page has it. */
function stateOf({ store, navigation, rail }: ReturnType<typeof load>) {
  return {
    layer: store.layer.value,
    ...{ scale: store.scaleName.value, colours: store.colourMap.value, open: new Set(store.open.value) },
    ...{ window: store.window.value, cursor: store.cursor.value, range: store.range.value },
    ...{ scroll: store.scrollCssPx.value, following: navigation.following.value, rail: rail.value },
  };
}

function lookAround({ store, rail, navigation }: ReturnType<typeof load>) {
  store.chooseMetric('mean');
  store.chooseView('worst');
  store.chooseScale('log');
  store.chooseColourMap('puor');
  store.holdRange({ kind: 'signed', scale: 'log', lo: 1e-7, hi: 0.5 });
  store.zoomTo({ start: 4_000, end: 5_000 });
  navigation.follow(true);
  store.cursor.value = { key: 'tensor:layer12', step: 4_320 };
  store.scrollCssPx.value = 18 * 20;
  rail.value = false;
}

describe('the URL', () => {
  it('brings back everything after a reload, and in another browser by its link', () => {
    const bar = new Bar();
    bar.hash = '#gradhealth';
    const page = load(bar);
    page.arrive();
    lookAround(page);
    const link = new URL(page.url.link());
    vi.advanceTimersByTime(1_000);
    expect(link.hash).toBe(bar.hash);
    for (const hash of [bar.hash, link.hash]) {
      const other = new Bar();
      other.hash = hash;
      const reloaded = load(other);
      reloaded.arrive();
      expect(stateOf(reloaded)).toEqual(stateOf(page));
      vi.advanceTimersByTime(1_000);
      expect([other.hash, other.writes]).toEqual([hash, 0]);
    }
  });

  it('is written once for many changes, and rests where nothing changes', () => {
    const bar = new Bar();
    const page = load(bar);
    page.arrive();
    vi.advanceTimersByTime(1_000);
    const before = bar.writes;
    for (let i = 0; i < 60; i++) {
      page.store.zoomTo({ start: i, end: 1_000 + i });
      vi.advanceTimersByTime(5);
    }
    vi.advanceTimersByTime(10_000);
    expect(bar.writes - before).toBe(1);
    expect(bar.hash).toContain('p.gradhealth.steps=59_1059');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is left alone while the steps move, and written when they have come to rest', () => {
    const bar = new Bar();
    const page = load(bar);
    page.arrive();
    vi.advanceTimersByTime(1_000);
    const before = bar.writes;
    for (let i = 1; i <= 200; i++) {
      page.store.zoomTo({ start: i, end: 1_000 + i });
      vi.advanceTimersByTime(16);
    }
    expect(bar.writes).toBe(before);
    expect(new URL(page.url.link()).hash).toContain('p.gradhealth.steps=200_1200');
    vi.advanceTimersByTime(600);
    expect(bar.writes - before).toBe(1);
    expect(bar.hash).toContain('p.gradhealth.steps=200_1200');
  });

  it('holds a run from the first on, so that its tiles alone are fetched', () => {
    const bar = new Bar();
    bar.hash = '#gradhealth&p.gradhealth.v=1&p.gradhealth.run=exp2%2Fgradhealth&p.gradhealth.metric=mean';
    const page = load(bar);
    page.store.receiveRuns(RUNS);
    expect(page.store.runName.value).toBe('exp2/gradhealth');
    vi.advanceTimersByTime(1_000);
    expect(bar.writes).toBe(0);
    page.arrive('exp2/gradhealth');
    expect(page.store.layer.value).toMatchObject({ run: 'exp2/gradhealth', metric: 'mean' });
  });

  it('lets somebody turn to another run before the first has come', () => {
    const bar = new Bar();
    bar.hash = '#gradhealth&p.gradhealth.v=1&p.gradhealth.run=slow&p.gradhealth.metric=mean';
    const page = load(bar);
    page.store.receiveRuns(RUNS);
    page.store.chooseRun('exp1/gradhealth');
    page.arrive();
    expect(page.store.metric.value?.name).toBe('norm');
    vi.advanceTimersByTime(1_000);
    expect(bar.hash).toContain('run=exp1');
  });

  it('is followed when somebody enters a link, with what it leaves out as at first', () => {
    const bar = new Bar();
    const page = load(bar);
    page.arrive();
    lookAround(page);
    vi.advanceTimersByTime(1_000);
    bar.enter('#gradhealth&p.gradhealth.v=1&p.gradhealth.metric=mean&p.gradhealth.steps=100_300');
    expect(page.store.window.value).toEqual({ start: 100, end: 300 });
    expect(page.store.metric.value?.name).toBe('mean');
    expect([page.store.cursor.value, page.rail.value, page.store.scrollCssPx.value]).toEqual([null, true, 0]);
    expect([page.store.scaleName.value, page.store.colourMap.value]).toEqual(['linear', 'rdbu']);
    expect(page.navigation.following.value).toBe(false);
  });

  it('is not taken for a link when TensorBoard changes its tab, even before the last change is written', () => {
    const bar = new Bar();
    const visible = { now: true };
    const page = load(bar, visible);
    page.arrive();
    vi.advanceTimersByTime(1_000);
    page.store.chooseMetric('mean');
    visible.now = false;
    bar.enter(bar.hash.replace('#gradhealth', '#timeseries') + '&tagFilter=loss');
    vi.advanceTimersByTime(1_000);
    expect(page.store.metric.value?.name).toBe('mean');
    expect(bar.hash).toContain('metric=norm');
    visible.now = true;
    page.url.write();
    expect(bar.hash).toContain('metric=mean');
    expect(bar.hash).toContain('tagFilter=loss');
  });

  it('is written anew where another tab has dropped it', () => {
    const bar = new Bar();
    const page = load(bar);
    page.arrive();
    page.store.chooseMetric('mean');
    vi.advanceTimersByTime(1_000);
    const hash = bar.hash;
    bar.enter('#gradhealth');
    expect(page.store.metric.value?.name).toBe('mean');
    expect(bar.hash).toBe('#gradhealth&' + hash.slice(1));
  });

  it('does no harm, whatever somebody has written into it', () => {
    const bar = new Bar();
    const hostile = ['', '~', '%E0', '-1_-1e308', '0_1e-300', '__proto__', '<img src=x>', '9'.repeat(5_000)];
    const page = load(bar);
    page.arrive();
    const keys = [
      'stream',
      'metric',
      'view',
      'scale',
      'colours',
      'range',
      'open',
      'steps',
      'follow',
      'cell',
      'top',
      'rail',
      'x',
    ];
    for (const text of hostile) {
      const tokens = keys.map((key) => `p.gradhealth.${key}=${encodeURIComponent(text)}`);
      bar.enter(`#gradhealth&p.gradhealth.v=1&${tokens.join('&')}`);
      expect(page.store.layer.value).toMatchObject({ stream: 'gradients', metric: 'norm', view: 'max' });
      const { start = 0, end = 5_000 } = page.store.window.value ?? {};
      expect(start).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(5_000);
      expect([page.store.cursor.value, page.store.range.value, page.store.scrollCssPx.value]).toEqual([
        null,
        null,
        0,
      ]);
      expect(page.store.open.value).toEqual(openFirstLook(page.store.tree.value ?? never()));
    }
  });

  it('says nothing of what is as at first, so that it is short', () => {
    const bar = new Bar();
    const page = load(bar);
    page.arrive();
    vi.advanceTimersByTime(1_000);
    expect(bar.hash).toBe(
      '#p.gradhealth.v=1&p.gradhealth.run=exp1%2Fgradhealth&p.gradhealth.stream=gradients' +
        '&p.gradhealth.metric=norm&p.gradhealth.view=max',
    );
    page.store.setOpen(openAll(page.store.tree.value ?? never()));
    page.store.setOpen(openFirstLook(page.store.tree.value ?? never()));
    vi.advanceTimersByTime(1_000);
    expect(bar.hash).not.toContain('open');
  });
});

function never(): never {
  throw new Error('no tree');
}

import { describe, expect, it } from 'vitest';
import type { Meta, Metric } from '../src/contract.ts';
import { openTop, withFolded } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { robustRanges } from '../src/ranges.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { type Tile, type TileId, parseTiles, tileName } from '../src/tiles.ts';
import { bodyOf, emptyTile } from './support/encode.ts';
import { GRADIENTS, WEIGHTS, metaOf, nodesFrom, runOf } from './support/meta.ts';

const RUN = 'exp1/gradhealth';

/** A page with one run, laid out at 1000 × 180 pixels: ten rows and, at level 0, two pixels a cell. */
function openPage(meta: Meta = metaOf()) {
  const asked: string[] = [];
  const load = (_: unknown, ids: readonly TileId[]): Promise<Tile[]> => {
    asked.push(...ids.map(tileName));
    return Promise.resolve(parseTiles(bodyOf(...ids.map(emptyTile))));
  };
  const noEvents = { changed: () => undefined, failed: () => undefined };
  const store = new Store(new TileStore(load, noEvents));
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 180, devicePixelRatio: 1 };
  store.receiveRuns([runOf()]);
  store.receiveMeta(meta);
  return { store, pointing: new Pointing(store), asked };
}

describe('the run', () => {
  it('is the best one until somebody chooses, then the chosen one', () => {
    const { store } = openPage();
    const runs = [
      runOf({ name: 'w', status: 'waiting' }),
      runOf({ name: 'n', status: 'none' }),
      runOf({ name: 'u', status: 'unreadable', problem: 'version 9' }),
    ];
    const late = new Store(store.tiles);
    late.receiveRuns(runs.slice(1));
    expect([late.runName.value, late.screen.value]).toEqual(['u', 'unreadable']);
    late.receiveRuns(runs);
    expect([late.runName.value, late.screen.value]).toEqual(['w', 'waiting']);
    late.receiveRuns([...runs, runOf()]);
    expect([late.runName.value, late.screen.value]).toEqual([RUN, 'loading']);
    late.chooseRun('n');
    late.receiveRuns([...runs, runOf()]);
    expect([late.runName.value, late.screen.value]).toEqual(['n', 'none']);
    late.receiveRuns([runOf()]);
    expect(late.screen.value).toBe('missing');
    late.receiveRuns([runOf({ status: 'none' })]);
    expect(late.screen.value).toBe('empty');
  });

  it('waits when it has no step yet', () => {
    expect(openPage(metaOf({ steps: [0, 0] })).store.screen.value).toBe('waiting');
    expect(openPage(metaOf({ nodes: nodesFrom([], []) })).store.screen.value).toBe('waiting');
    expect(openPage().store.screen.value).toBe('heatmap');
  });

  it('takes its folds along to a run of the same model, and comes back to its own', () => {
    const { store } = openPage();
    store.receiveRuns([runOf(), runOf({ name: 'exp2' }), runOf({ name: 'exp3' })]);
    const tree = store.tree.value;
    if (tree !== null) store.setOpen(openTop(tree));
    store.chooseRun('exp2');
    store.receiveMeta(metaOf({ run: 'exp2' }));
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2]);
    store.chooseRun('exp3');
    store.receiveMeta(metaOf({ run: 'exp3', nodes: nodesFrom(['', 'x', 'x.w'], [-1, 0, 1]) }));
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2]);
    store.chooseRun(RUN);
    store.receiveMeta(metaOf());
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2]);
  });

  it('ignores figures of a run that is no longer chosen', () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ run: 'other' }));
    expect(store.meta.value?.run).toBe(RUN);
  });
});

describe('a live refresh', () => {
  const grown = metaOf({ revision: 2, steps: [0, 6_000], levels: 2 });

  it('follows the run when un-zoomed', () => {
    const { store } = openPage();
    expect(store.scale.value).toMatchObject({ start: 0, end: 5_000 });
    store.receiveMeta(grown);
    expect(store.scale.value).toMatchObject({ start: 0, end: 6_000 });
  });

  it('keeps zoom, folds, cursor and colour range', () => {
    const { store, pointing } = openPage();
    const tree = store.tree.value;
    if (tree !== null) store.setOpen(openTop(tree));
    store.zoomTo({ start: 1_000, end: 2_000 });
    store.ranges.value = robustRanges('magnitude', Float64Array.from([1, 2]));
    store.cursor.value = { key: 'module:b', step: 1_500 };
    const before = [store.range.value, pointing.cursorCell.value];
    store.receiveMeta(grown);
    expect(store.window.value).toEqual({ start: 1_000, end: 2_000 });
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2]);
    expect([store.range.value, pointing.cursorCell.value]).toEqual(before);
  });

  it('keeps folds and cursor with their nodes when indices change, and drops the tiles', async () => {
    const { store, pointing, asked } = openPage();
    store.setOpen(new Set(['total:', 'module:b']));
    store.cursor.value = { key: 'tensor:b.weight', step: 100 };
    const layer = store.layer.value;
    if (layer === null) throw new Error('no layer');
    store.tiles.want(layer, [{ level: 0, r: 0, c: 0 }]);
    await Promise.resolve();
    await Promise.resolve();
    const nodes = nodesFrom(['', 'new', 'a', 'b', 'new.w', 'a.weight', 'b.weight'], [-1, 0, 0, 0, 1, 2, 3]);
    store.receiveMeta(metaOf({ revision: 2, nodes }));
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2, 3, 6]);
    expect(pointing.cursorCell.value).toMatchObject({ node: 6, row: 4 });
    expect(asked).toEqual(['0.0.0', '0.0.0']);
  });

  it('fetches again only the tail, or what a new session replaces', async () => {
    const { store, asked } = openPage(metaOf({ steps: [0, 20_000], levels: 3 }));
    const layer = store.layer.value;
    if (layer === null) throw new Error('no layer');
    const ids = [0, 1, 2, 3].map((c) => ({ level: 0, r: 0, c }));
    const settle = async () => {
      for (let i = 0; i < 6; i++) await Promise.resolve();
    };
    store.tiles.want(layer, ids);
    await settle();
    store.receiveMeta(metaOf({ steps: [0, 20_400], levels: 3, revision: 2 }));
    await settle();
    expect(asked.splice(0)).toEqual(['0.0.0', '0.0.1', '0.0.2', '0.0.3', '0.0.3']);
    const sessions = [
      { id: '00', start: 0, stop: 20_400, wall_time: 1 },
      { id: '01', start: 11_000, stop: 11_010, wall_time: 2 },
    ];
    store.receiveMeta(metaOf({ steps: [0, 20_400], levels: 3, revision: 3, sessions }));
    await settle();
    expect(asked).toEqual(['0.0.2', '0.0.3']);
  });
});

describe('the stream', () => {
  const streams = [GRADIENTS, WEIGHTS];
  const norm = metaOf().metrics.slice(0, 1);
  const ratio = { ...norm[0], name: 'update_ratio' } as Metric;
  const weights = (changes: Partial<Meta> = {}) => metaOf({ streams, stream: 'weights', ...changes });
  const turnTo = (store: Store, next: Meta) => {
    store.chooseStream(next.stream);
    store.receiveMeta(next);
  };

  it('is the first one until another is chosen and here, with all else where it is', () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ streams }));
    expect(store.layer.value?.stream).toBe('gradients');
    store.zoomTo({ start: 1_000, end: 2_000 });
    store.scrollCssPx.value = 30;
    store.cursor.value = { key: 'tensor:b.weight', step: 1_200 };
    store.ranges.value = robustRanges('magnitude', Float64Array.from([1, 2]));
    const { window, scrollCssPx, nodes, cursor, tree } = store;
    const now = () => [window.value, scrollCssPx.value, nodes.value, cursor.value, tree.value];
    const before = now();
    store.chooseStream('weights');
    expect([store.layer.value?.stream, store.nextStream.value?.label]).toEqual(['gradients', 'Weights']);
    expect(store.ranges.value).not.toBeNull();
    store.receiveMeta(weights());
    expect([store.layer.value?.stream, store.what.value]).toEqual(['weights', 'weight']);
    expect(store.ranges.value).toBeNull();
    expect(before[0]).not.toBeNull();
    expect(now()).toEqual(before);
    expect(tree.value).toBe(before.at(-1));
  });

  it('drops what comes of one that is not wanted any more', () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ streams }));
    store.chooseStream('weights');
    store.receiveMeta(metaOf({ streams, revision: 2 }));
    expect(store.meta.value?.revision).toBe(1);
    store.chooseStream('gradients');
    store.receiveMeta(weights({ revision: 3 }));
    expect([store.meta.value?.revision, store.stream.value?.name]).toEqual([1, 'gradients']);
  });

  it('keeps folds and cursor by name where nodes are others, and has them again on the way back', () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ streams }));
    store.setOpen(withFolded(store.open.value, ['module:a']));
    store.cursor.value = { key: 'tensor:a.bias', step: 20 };
    const rows = Array.from(store.nodes.value);
    const nodes = nodesFrom(['', 'a', 'c', 'a.out', 'c.out'], [-1, 0, 0, 1, 2]);
    turnTo(store, weights({ nodes }));
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2, 4]);
    expect(new Pointing(store).cursorCell.value).toBeNull();
    store.setOpen(withFolded(store.open.value, ['module:c']));
    turnTo(store, metaOf({ streams }));
    expect(Array.from(store.nodes.value)).toEqual(rows);
    expect(store.cursor.value.key).toBe('tensor:a.bias');
    turnTo(store, weights({ nodes }));
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2]);
  });

  it('begins with a metric of its own, else keeps the metric, and comes back to the one it was left with', () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ streams }));
    const shown = () => store.metric.value?.name;
    store.chooseMetric('mean');
    turnTo(store, weights({ metrics: [...metaOf().metrics, ratio] }));
    expect(shown()).toBe('update_ratio');
    turnTo(store, metaOf({ streams }));
    expect(shown()).toBe('mean');
    turnTo(store, weights({ metrics: [...metaOf().metrics, ratio] }));
    expect(shown()).toBe('update_ratio');
    store.chooseMetric('norm');
    turnTo(store, metaOf({ streams }));
    expect(shown()).toBe('norm');
    store.chooseMetric('mean');
    turnTo(store, weights({ metrics: [...metaOf().metrics, ratio] }));
    expect(shown()).toBe('mean');
    turnTo(store, weights({ metrics: norm }));
    expect(shown()).toBe('norm');
  });

  it('is the first one in a run that does not have it, and itself again in one that does', () => {
    const { store } = openPage();
    store.receiveRuns([runOf(), runOf({ name: 'exp2' })]);
    store.receiveMeta(metaOf({ streams }));
    turnTo(store, weights());
    store.chooseRun('exp2');
    store.receiveMeta(metaOf({ run: 'exp2' }));
    expect([store.layer.value?.stream, store.streamName.value]).toEqual(['gradients', 'weights']);
    store.chooseRun(RUN);
    store.receiveMeta(weights());
    expect(store.layer.value?.stream).toBe('weights');
  });

  it('drops its tiles where its nodes have changed while another one was shown', async () => {
    const { store } = openPage();
    store.receiveMeta(metaOf({ streams }));
    const layer = store.layer.value;
    if (layer === null) throw new Error('expected a layer');
    const id = { level: 0, r: 0, c: 0 };
    store.tiles.want(layer, [id]);
    await Promise.resolve();
    await Promise.resolve();
    expect(store.tiles.get(layer, id)).toBeDefined();
    const nodes = nodesFrom(['', 'x'], [-1, 0]);
    turnTo(store, weights({ nodes, revision: 2 }));
    expect(store.tiles.get(layer, id)).toBeDefined();
    turnTo(store, metaOf({ streams, nodes: nodesFrom(['', 'b'], [-1, 0]), revision: 2 }));
    expect(store.tiles.get(layer, id)).toBeUndefined();
  });
});

describe('the colour range', () => {
  it('is given up with the metric, the view or the run, and with nothing else', () => {
    const { store } = openPage();
    const lock = () => (store.ranges.value = robustRanges('magnitude', Float64Array.from([1, 2])));
    const changes: [() => void, boolean][] = [
      [
        () => {
          store.chooseScale('linear');
        },
        true,
      ],
      [
        () => {
          store.zoomTo({ start: 0, end: 100 });
        },
        true,
      ],
      [
        () => {
          store.chooseColourMap('viridis');
        },
        true,
      ],
      [
        () => {
          store.chooseMetric('mean');
        },
        false,
      ],
      [
        () => {
          store.chooseView('worst');
        },
        false,
      ],
      [
        () => {
          store.chooseRun('other');
        },
        false,
      ],
    ];
    for (const [change, kept] of changes) {
      lock();
      change();
      expect(store.ranges.value !== null).toBe(kept);
    }
  });

  it('has a scale for each metric, which the metric suggests and the user overrides', () => {
    const { store } = openPage();
    expect(store.scaleName.value).toBe('log');
    store.chooseScale('linear');
    store.chooseMetric('mean');
    expect(store.scaleName.value).toBe('linear');
    store.chooseScale('log');
    store.chooseMetric('norm');
    expect(store.scaleName.value).toBe('linear');
    expect(store.colourMap.value).toBe('cividis');
    store.chooseMetric('mean');
    expect(store.colourMap.value).toBe('rdbu');
  });
});

describe('the cursor', () => {
  it('starts in the middle, moves by cells and rows, and stays on the run', () => {
    const { store, pointing } = openPage();
    pointing.moveCursor(0, 1);
    expect(pointing.cursorCell.value).toMatchObject({ node: 0, index: 250 });
    pointing.moveCursor(1, 1);
    expect(pointing.cursorCell.value).toMatchObject({ node: 1, index: 251 });
    pointing.moveCursor(99, Number.POSITIVE_INFINITY);
    expect(pointing.cursorCell.value).toMatchObject({ node: 5, index: 499 });
    pointing.moveCursor(-99, Number.NEGATIVE_INFINITY);
    expect(pointing.cursorCell.value).toMatchObject({ node: 0, index: 0 });
    expect(store.window.value).toBeNull();
  });

  it('takes the view along when zoomed', () => {
    const { store, pointing } = openPage();
    store.zoomTo({ start: 2_000, end: 3_000 });
    pointing.moveCursor(0, 0);
    for (let i = 0; i < 60; i++) pointing.moveCursor(0, 1);
    expect(store.cursor.value?.step).toBe(3_100);
    expect(store.window.value?.end).toBeGreaterThanOrEqual(3_110);
    expect(pointing.cursorCell.value).not.toBeNull();
  });

  it('is found again under the point where its rectangle is', () => {
    const { pointing } = openPage();
    const rect = pointing.rectOf(3, 1_234);
    if (rect === null) throw new Error('not in view');
    const found = pointing.cellAt(rect.x + rect.width / 2, rect.y + rect.height / 2);
    expect(found).toMatchObject({ node: 3, level: 0, index: 123 });
    expect(pointing.rectOf(3, 5_000)).toBeNull();
    expect(pointing.rectOf(99, 0)).toBeNull();
    expect(pointing.cellAt(10, 9_999)).toBeNull();
  });
});

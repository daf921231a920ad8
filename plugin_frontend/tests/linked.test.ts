import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Layer } from '../src/api.ts';
import { LinkedRun, differenceOf, together } from '../src/linked.ts';
import { buildTree } from '../src/model.ts';
import { cellEdgeDevicePx, extended } from '../src/scales.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { type Tile, type TileId, parseTiles } from '../src/tiles.ts';
import { bf16Of, bodyOf, emptyTile } from './support/encode.ts';
import { metaOf, nodesFrom, runOf } from './support/meta.ts';

const SECOND = 'exp2/gradhealth';

/** The value of a node at a step of the second run. */
function valueAt(node: number, step: number): number {
  return 1 + ((node * 7919 + step * 104_729) % 97);
}

/** Tiles of `steps` steps, worked out step by step. */
function tilesOf(steps: number, cell: number) {
  return (_: Layer, ids: readonly TileId[]): Promise<Tile[]> => {
    const plain = ids.map((id) => {
      const tile = emptyTile(id);
      const size = cell * 2 ** id.level;
      const codes = Array.from(tile.codes);
      for (let i = 0; i < codes.length; i++) {
        const [node, first] = [64 * id.r + Math.floor(i / 512), (512 * id.c + (i % 512)) * size];
        for (let step = first; step < Math.min(steps, first + size); step++)
          codes[i] = bf16Of(
            Math.max(valueAt(node, step), codes[i] === 0x7fc0 ? 0 : valueOfCode(codes[i] ?? 0)),
          );
      }
      return { ...tile, codes };
    });
    return Promise.resolve(parseTiles(bodyOf(...plain)));
  };
}

function valueOfCode(code: number): number {
  return new Float32Array(Uint32Array.of(code << 16).buffer)[0] ?? Number.NaN;
}

function pair(load = tilesOf(700, 3)) {
  const silent = { changed: () => undefined, failed: () => undefined };
  const store = new Store(new TileStore(() => Promise.resolve([]), silent));
  const asked: string[] = [];
  const second = metaOf({
    run: SECOND,
    steps: [0, 700],
    cell: 3,
    nodes: nodesFrom(['', 'b', 'c', 'b.weight', 'c.weight'], [-1, 0, 0, 1, 2]),
  });
  const api = {
    meta: (run: string) => {
      asked.push(run);
      return Promise.resolve(second);
    },
  };
  const linked = new LinkedRun(store, new TileStore(load, silent), api);
  store.size.value = { widthDevicePx: 600, heightDevicePx: 360, devicePixelRatio: 1 };
  store.receiveRuns([runOf(), runOf({ name: SECOND, label: 'exp2' })]);
  store.receiveMeta(metaOf({ steps: [0, 5_000] }));
  linked.start();
  return { store, linked, asked, second };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('the axis of two runs', () => {
  it('holds both, in cells of the one, and its coarsest level fits a tile', () => {
    const steps = fc
      .tuple(fc.nat(1e7), fc.integer({ min: 1, max: 1e7 }))
      .map(([a, n]) => [a, a + n] as const);
    fc.assert(
      fc.property(steps, steps, fc.integer({ min: 1, max: 100 }), (own, further, cell) => {
        const grid = extended({ steps: own, cell, levels: 1 }, further);
        expect(grid.steps).toEqual([Math.min(own[0], further[0]), Math.max(own[1], further[1])]);
        expect(grid.cell).toBe(cell);
        const cells = (level: number) =>
          Math.ceil(grid.steps[1] / (cell * 2 ** level)) - Math.floor(grid.steps[0] / (cell * 2 ** level));
        expect(cells(grid.levels - 1)).toBeLessThanOrEqual(512);
        if (grid.levels > 1) expect(cells(grid.levels - 2)).toBeGreaterThan(512);
      }),
    );
  });

  it('gives each cell of the second run a pixel at every zoom, or a spike could get lost', async () => {
    const { store, linked } = pair();
    linked.choose(SECOND);
    await turn();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 5_000 }), (start, span) => {
        store.zoomTo({ start, end: start + span });
        const scale = linked.scene.value?.scale;
        expect(scale?.start).toBe(store.scale.value?.start);
        expect(scale?.end).toBe(store.scale.value?.end);
        if (scale === undefined) return;
        const first = Math.floor(scale.start / scale.cellSteps);
        for (let cell = first; cell * scale.cellSteps < scale.end; cell++)
          expect(cellEdgeDevicePx(scale, cell + 1)).toBeGreaterThan(cellEdgeDevicePx(scale, cell));
      }),
    );
  });

  it('covers the longer run while both are shown, and the first alone afterwards', async () => {
    const { store, linked, second } = pair();
    second.steps = [0, 60_000];
    linked.choose(SECOND);
    await turn();
    expect(store.scale.value?.end).toBeGreaterThanOrEqual(60_000);
    expect(store.scene.value?.grid.steps).toEqual([0, 5_000]);
    linked.choose(null);
    expect(store.scale.value?.end).toBeLessThan(5_200);
  });
});

describe('steps that the second run alone has', () => {
  it('are left when it is closed, and when it turns out not to have them', async () => {
    const { store, linked, second } = pair();
    second.steps = [0, 60_000];
    linked.choose(SECOND);
    await turn();
    store.zoomTo({ start: 30_000, end: 31_000 });
    expect(store.window.value).toEqual({ start: 30_000, end: 31_000 });
    linked.choose(null);
    expect(store.window.value).toEqual({ start: 4_000, end: 5_000 });

    second.steps = [0, 700];
    linked.choose(SECOND);
    store.zoomTo({ start: 30_000, end: 31_000 });
    await turn();
    expect(store.window.value).toEqual({ start: 4_000, end: 5_000 });
    linked.choose('lost');
    store.zoomTo({ start: 30_000, end: 31_000 });
    expect(store.window.value).toEqual({ start: 4_000, end: 5_000 });
  });
});

describe('the second run', () => {
  it('is closed when the first becomes the same', async () => {
    const { store, linked } = pair();
    linked.choose(SECOND);
    await turn();
    store.chooseRun(SECOND);
    expect(linked.name.value).toBeNull();
    linked.choose(SECOND);
    expect(linked.name.value).toBeNull();
  });

  it('is asked for again after a refusal', async () => {
    const { store, linked, asked } = pair();
    linked.choose(SECOND);
    await turn();
    linked.failed(new Error('refused'));
    expect(linked.obstacle.value).toBe('refused');
    store.receiveRuns([runOf(), runOf({ name: SECOND })]);
    await turn();
    expect(asked).toEqual([SECOND, SECOND]);
    expect(linked.obstacle.value).toBeNull();
  });

  it('has a node in each row of the first where the names agree, and none elsewhere', async () => {
    const { store, linked, second } = pair();
    linked.choose(SECOND);
    await turn();
    const names = Array.from(store.nodes.value, (node) => store.tree.value?.names[node] ?? '?');
    expect(names.length).toBeGreaterThan(3);
    expect(Array.from(linked.nodes.value)).toEqual(names.map((name) => second.nodes.name.indexOf(name)));
  });

  it('shows the metric of the first, and says when it has none of that name', async () => {
    const { store, linked, second } = pair();
    second.metrics = second.metrics.slice(0, 1);
    linked.choose(SECOND);
    await turn();
    expect(linked.layer.value).toEqual({ ...store.layer.value, run: SECOND });
    store.chooseMetric('mean');
    expect(linked.layer.value).toBeNull();
    expect(linked.obstacle.value).toBe('This run has no Gradients (applied), Mean.');
  });

  it('says what is the matter with it', () => {
    const { store, linked } = pair();
    linked.choose('lost');
    expect(linked.obstacle.value).toContain('gone');
    for (const [status, words] of [
      ['none', 'No Grad Health data'],
      ['waiting', 'Waiting'],
      ['unreadable', 'Version 9'],
    ] as const) {
      store.receiveRuns([
        runOf(),
        runOf({ name: 'lost', status, problem: status === 'unreadable' ? 'Version 9' : null }),
      ]);
      expect(linked.obstacle.value).toContain(words);
    }
  });

  it('is asked for anew when it has grown or the server has come back, and only then', async () => {
    const { store, linked, asked } = pair();
    linked.choose(SECOND);
    await turn();
    store.receiveRuns([runOf(), runOf({ name: SECOND })]);
    await turn();
    expect(asked).toEqual([SECOND]);
    store.receiveRuns([runOf(), runOf({ name: SECOND, revision: 2 })]);
    await turn();
    store.connection.value = 'gone';
    store.connection.value = 'back';
    await turn();
    expect(asked.length).toBe(3);
  });

  it('tells the largest value of all its cells in the steps of a cell of the first', async () => {
    const { store, linked } = pair();
    linked.choose(SECOND);
    await turn();
    const scene = linked.scene.value;
    const layer = linked.layer.value;
    if (scene === null || layer === null) throw new Error('expected a scene');
    const id = { level: scene.scale.level, r: 0, c: 0 };
    linked.tiles.want(layer, [id]);
    await turn();
    linked.tilesArrived.value++;
    const names = Array.from(store.nodes.value, (node) => store.tree.value?.names[node]);
    const row = names.indexOf('b.weight');
    const size = scene.scale.cellSteps;
    for (const [level, index] of [
      [0, 0],
      [0, 31],
      [3, 2],
    ] as const) {
      const [begin, end] = [index * 10 * 2 ** level, (index + 1) * 10 * 2 ** level];
      const [first, stop] = [Math.floor(begin / size) * size, Math.min(700, Math.ceil(end / size) * size)];
      const values = Array.from({ length: stop - first }, (_, i) => valueAt(3, first + i));
      const beside = linked.valueBeside({ row, level, index });
      expect(beside?.steps).toEqual([first, stop]);
      expect(beside?.value).toBe(Math.max(...values));
    }
    expect(linked.valueBeside({ row, level: 0, index: 70 })).toBeNull();
    expect(linked.valueBeside({ row: names.indexOf('a'), level: 0, index: 0 })).toBeNull();
  });
});

describe('several cells', () => {
  it('are one by the view, without those that have no value', () => {
    const known = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.oneof(known, fc.constant(Number.NaN))), (values) => {
        const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
        expect(together(values, 'max')).toBe(sorted.at(-1) ?? Number.NaN);
        expect(together(values, 'worst')).toBe(sorted.at(-1) ?? Number.NaN);
        expect(together(values, 'min')).toBe(sorted[0] ?? Number.NaN);
        let sum = 0;
        for (const value of sorted) sum += value / sorted.length;
        if (sorted.length > 0) expect(Math.abs(together(values, 'mean') - sum)).toBeLessThan(1e-6);
      }),
    );
  });
});

describe('the difference of two trees', () => {
  it('counts what only one of them has', () => {
    const a = buildTree(nodesFrom(['', 'x', 'x.w', 'x.b'], [-1, 0, 1, 1]));
    const b = buildTree(nodesFrom(['', 'x', 'y', 'x.w', 'y.w'], [-1, 0, 0, 1, 2]));
    expect(differenceOf(a, a, 'A', 'B')).toBeNull();
    expect(differenceOf(a, b, 'A', 'B')).toBe('1 tensor only in A, 1 module and 1 tensor only in B');
    const c = buildTree(nodesFrom(['', 'x', 'x.w'], [-1, 0, 1]));
    expect(differenceOf(a, c, 'A', 'B')).toBe('1 tensor only in A');
  });
});

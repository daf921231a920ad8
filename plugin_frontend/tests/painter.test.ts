import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Heatmap } from '../src/heatmap.ts';
import { LinkedRun } from '../src/linked.ts';
import { LinkedPainter } from '../src/linked_painter.ts';
import { Painter } from '../src/painter.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { type TileId, parseTiles } from '../src/tiles.ts';
import { bf16Of, bodyOf, emptyTile } from './support/encode.ts';
import { metaOf, runOf } from './support/meta.ts';

const SECOND = 'exp2/gradhealth';

let frames: (() => void)[] = [];
beforeEach(() => {
  frames = [];
  vi.stubGlobal('requestAnimationFrame', (frame: () => void) => frames.push(frame));
});
afterEach(() => {
  vi.unstubAllGlobals();
});

/** Lets time go on for a number of frames; how many of them had anything to do. */
async function run(count: number): Promise<number> {
  let busy = 0;
  for (let i = 0; i < count; i++) {
    const now = frames.splice(0);
    if (now.length > 0) busy++;
    for (const frame of now) frame();
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return busy;
}

const PAINTED = { complete: true, nonFiniteCells: 0, nonFiniteNodes: new Set<number>() };
const heatmap = { draw: () => PAINTED } as unknown as Heatmap;

/** A run and a longer one beside it; all cells of both have this value. */
async function open(value: number) {
  const tiles = (changed: () => void) =>
    new TileStore(
      (_, ids: readonly TileId[]) =>
        Promise.resolve(
          parseTiles(
            bodyOf(
              ...ids.map((id) => {
                const tile = emptyTile(id);
                return { ...tile, codes: Array.from(tile.codes, () => bf16Of(value)) };
              }),
            ),
          ),
        ),
      { changed, failed: () => undefined },
    );
  const store: Store = new Store(tiles(() => store.tilesArrived.value++));
  const meta = () => Promise.resolve(metaOf({ run: SECOND, steps: [0, 60_000] }));
  const linked: LinkedRun = new LinkedRun(
    store,
    tiles(() => linked.tilesArrived.value++),
    { meta },
  );
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 180, devicePixelRatio: 1 };
  store.receiveRuns([runOf(), runOf({ name: SECOND })]);
  store.receiveMeta(metaOf());
  linked.start();
  linked.choose(SECOND);
  await run(1);
  const context = new Proxy({}, { get: () => () => ({ width: 0 }), set: () => true });
  const canvas = { getContext: () => context } as unknown as HTMLCanvasElement;
  const painters = [
    new Painter(heatmap, store, () => 'light'),
    new LinkedPainter(canvas, heatmap, store, linked, () => 'light'),
  ] as const;
  const watch = () => {
    const [first, second] = painters;
    store.scene.subscribe(() => {
      first.schedule();
    });
    linked.scene.subscribe(() => {
      second.schedule();
    });
    store.tables.subscribe(() => {
      for (const painter of painters) painter.schedule();
    });
  };
  return { store, linked, watch };
}

describe('the tiles of the minimap', () => {
  it('are asked for with the picture, but not while there is no room for the minimap', async () => {
    const { store, linked } = await open(1);
    linked.choose(null);
    // More cells than pixels, so that the coarsest level is not the one that is drawn.
    store.receiveMeta(metaOf({ revision: 2, steps: [0, 100_000], levels: 6 }));
    store.zoomTo({ start: 0, end: 5_000 });
    const want = vi.spyOn(store.tiles, 'want');
    const levels = () => new Set(want.mock.lastCall?.[1].map(({ level }) => level));
    let hasRoom = false;
    const painter = new Painter(
      heatmap,
      store,
      () => 'light',
      () => hasRoom,
    );
    store.scene.subscribe(painter.schedule);
    await run(10);
    expect(levels()).toEqual(new Set([0]));
    hasRoom = true;
    painter.schedule();
    await run(10);
    expect(levels()).toEqual(new Set([0, 5]));
  });
});

describe('the colour range', () => {
  it('is found once, also where no cell has a value: then nothing is drawn again and again', async () => {
    const { store, watch } = await open(Number.NaN);
    watch();
    await run(10);
    expect(store.ranges.value?.fromData).toBe(false);
    expect(await run(10)).toBe(0);
  });

  it('is that of the second run where the first has no steps in view', async () => {
    const { store, watch } = await open(37);
    store.zoomTo({ start: 30_000, end: 31_000 });
    watch();
    await run(10);
    const { lo = 0, hi = 0 } = store.ranges.value?.log ?? {};
    expect([lo <= 37, 37 <= hi, store.ranges.value?.fromData]).toEqual([true, true, true]);
    const found = store.ranges.value;
    store.window.value = null;
    await run(10);
    expect(store.ranges.value).toBe(found);
  });
});

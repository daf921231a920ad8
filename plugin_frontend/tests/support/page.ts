import type { Meta } from '../../src/contract.ts';
import { Store } from '../../src/store.ts';
import { TileStore } from '../../src/tile_store.ts';
import type { CanvasSize } from '../../src/store.ts';
import { metaOf, runOf } from './meta.ts';

/** Tiles that never come. */
export function noTiles(): TileStore {
  return new TileStore(() => Promise.resolve([]), { changed: () => undefined, failed: () => undefined });
}

/** A page with one run, laid out. */
export function storeOf(meta: Meta = metaOf(), size: Partial<CanvasSize> = {}): Store {
  const store = new Store(noTiles());
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 360, devicePixelRatio: 1, ...size };
  store.receiveRuns([runOf()]);
  store.receiveMeta(meta);
  return store;
}

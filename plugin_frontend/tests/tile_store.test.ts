import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { type Layer, Refused, Unreachable } from '../src/api.ts';
import { TileStore } from '../src/tile_store.ts';
import { type Tile, type TileId, parseTiles, tileName } from '../src/tiles.ts';
import { bodyOf, emptyTile } from './support/encode.ts';

const LAYER: Layer = { run: 'a', stream: 'gradients', metric: 'norm', view: 'max' };
const GRID = { steps: [0, 10_000], cell: 1, levels: 6 } as const;
const [BLANK] = parseTiles(bodyOf(emptyTile({ level: 0, r: 0, c: 0 })));

function tile(id: TileId, changes: Partial<Tile> = {}): Tile {
  if (BLANK === undefined) throw new Error('no tile');
  return { ...BLANK, ...id, ...changes };
}

function ids(count: number, level = 0): TileId[] {
  return Array.from({ length: count }, (_, c) => ({ level, r: 0, c }));
}

/** A backend whose replies come when the test says so. */
class Backend {
  readonly asked: { layer: Layer; ids: readonly TileId[]; signal: AbortSignal }[] = [];
  private readonly pending: { resolve: (tiles: Tile[]) => void; reject: (error: unknown) => void }[] = [];
  readonly failed = vi.fn();
  readonly changed = vi.fn();
  readonly store: TileStore;

  constructor(capacity?: number) {
    const load = (layer: Layer, wanted: readonly TileId[], signal: AbortSignal) => {
      this.asked.push({ layer, ids: wanted, signal });
      return new Promise<Tile[]>((resolve, reject) => this.pending.push({ resolve, reject }));
    };
    this.store = new TileStore(load, { changed: this.changed, failed: this.failed }, capacity);
  }

  async reply(make: (id: TileId) => Tile = tile): Promise<void> {
    const request = this.asked[this.asked.length - this.pending.length];
    this.pending.shift()?.resolve((request?.ids ?? []).map(make));
    await settle();
  }

  async refuse(error: Error): Promise<void> {
    this.pending.shift()?.reject(error);
    await settle();
  }

  async replyToAll(make?: (id: TileId) => Tile): Promise<void> {
    while (this.pending.length > 0) await this.reply(make);
  }

  names(): string[] {
    return this.asked.flatMap((request) => request.ids.map(tileName));
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

describe('fetching', () => {
  it('asks for every wanted tile once, at most 15 at a time and in two requests at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 100 }), async (count) => {
        const backend = new Backend();
        backend.store.want(LAYER, ids(count));
        expect(backend.asked.length).toBeLessThanOrEqual(2);
        backend.store.want(LAYER, ids(count));
        await backend.replyToAll();
        expect(backend.names().toSorted()).toEqual(ids(count).map(tileName).toSorted());
        expect(backend.asked.every((request) => request.ids.length <= 15)).toBe(true);
        expect(backend.store.idle).toBe(true);
        for (const id of ids(count)) expect(backend.store.get(LAYER, id)).toMatchObject(id);
      }),
      { numRuns: 20 },
    );
  });

  it('forgets wishes that have scrolled away before they were sent', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(100));
    backend.store.want(LAYER, ids(3, 5));
    await backend.replyToAll();
    expect(backend.asked.map((request) => request.ids.length)).toEqual([15, 15, 3]);
  });

  it('stops what is under way for a layer that is no longer shown', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(1));
    backend.store.want({ ...LAYER, metric: 'rms' }, ids(1));
    expect(backend.asked[0]?.signal.aborted).toBe(true);
    await backend.reply();
    expect(backend.store.get(LAYER, { level: 0, r: 0, c: 0 })).toBeUndefined();
    await backend.reply();
    expect(backend.store.get({ ...LAYER, metric: 'rms' }, { level: 0, r: 0, c: 0 })).toBeDefined();
  });

  it('does not ask again at once for a tile that a reply leaves out', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(2));
    await backend.reply(() => tile({ level: 0, r: 0, c: 0 }));
    expect(backend.asked.length).toBe(1);
    expect(backend.store.idle).toBe(true);
  });

  it('keeps no more than its capacity, least recently used first, but all that is in view', async () => {
    const backend = new Backend(10);
    backend.store.want(LAYER, ids(5));
    await backend.replyToAll();
    backend.store.want(LAYER, ids(5, 1));
    await backend.replyToAll();
    backend.store.get(LAYER, { level: 0, r: 0, c: 4 });
    backend.store.want(LAYER, ids(3, 2));
    await backend.replyToAll();
    expect(ids(5).map((id) => backend.store.get(LAYER, id) !== undefined)).toEqual([
      false,
      false,
      false,
      true,
      true,
    ]);
    backend.store.want(LAYER, ids(30, 3));
    await backend.replyToAll();
    expect(ids(30, 3).every((id) => backend.store.get(LAYER, id) !== undefined)).toBe(true);
  });
});

describe('a live run', () => {
  it('fetches again only tiles that new steps may change, and shows the old ones meanwhile', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(4));
    await backend.replyToAll((id) => tile(id, { cells: id.c === 3 ? 100 : 512 }));
    backend.store.invalidate('a', GRID, 3 * 512 + 100);
    expect(backend.names().slice(4)).toEqual(['0.0.3']);
    expect(backend.store.get(LAYER, { level: 0, r: 0, c: 3 })?.cells).toBe(100);
    await backend.reply((id) => tile(id, { cells: 200 }));
    expect(backend.store.get(LAYER, { level: 0, r: 0, c: 3 })?.cells).toBe(200);
    expect(backend.asked.length).toBe(2);
  });

  it('fetches again from the first step that a new session replaces', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(4));
    await backend.replyToAll();
    backend.store.invalidate('a', GRID, 600);
    expect(backend.names().slice(4)).toEqual(['0.0.1', '0.0.2', '0.0.3']);
  });

  it('does not trust a reply that was under way when the data changed', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(1));
    backend.store.invalidate('a', GRID, 0);
    await backend.reply();
    expect(backend.names()).toEqual(['0.0.0', '0.0.0']);
  });

  it('drops everything when rows stand for other nodes, replies under way included', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(1));
    await backend.reply();
    backend.store.want(LAYER, ids(2));
    backend.store.forget('a');
    expect(backend.store.get(LAYER, { level: 0, r: 0, c: 0 })).toBeUndefined();
    await backend.reply();
    expect(backend.store.get(LAYER, { level: 0, r: 0, c: 1 })).toBeUndefined();
  });
});

describe('failures', () => {
  it('wait for somebody to say that the server is back', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(1));
    await backend.refuse(new Unreachable('gone'));
    expect(backend.failed).toHaveBeenCalledOnce();
    backend.store.want(LAYER, ids(1));
    expect(backend.asked.length).toBe(1);
    backend.store.resume();
    expect(backend.asked.length).toBe(2);
  });

  it('of single tiles do not hold up others', async () => {
    const backend = new Backend();
    backend.store.want(LAYER, ids(1));
    await backend.refuse(new Refused(422, 'damaged'));
    expect(backend.store.idle).toBe(true);
    backend.store.want(LAYER, ids(2));
    expect(backend.names()).toEqual(['0.0.0', '0.0.1']);
  });
});

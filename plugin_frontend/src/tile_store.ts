import { type Layer, Unreachable } from './api.ts';
import { type Grid, stepsInCell } from './scales.ts';
import { BATCH, TILE_CELLS, type Tile, type TileId, isSettled, tileName } from './tiles.ts';

/** About 98 KB each: 118 MB of tiles at most. */
const CAPACITY = 1_200;

/** Requests under way at a time: the next is already being computed while one is transferred. */
const FLIGHTS = 2;

interface Entry {
  tile: Tile;
  run: string;
  /** Drawn until a newer one has come. */
  stale: boolean;
}

interface Flight {
  layer: Layer;
  keys: Set<string>;
  abort: AbortController;
  /** The run got new data after the request had been sent. */
  overtaken: boolean;
}

interface Events {
  changed: () => void;
  failed: (error: unknown) => void;
}

type Load = (layer: Layer, ids: readonly TileId[], signal: AbortSignal) => Promise<Tile[]>;

/** Tiles by layer and place: least recently used go first, wanted ones are fetched in batches. */
export class TileStore {
  /** In order of use, the least recent first. */
  private readonly entries = new Map<string, Entry>();
  private readonly flights = new Set<Flight>();
  private readonly refused = new Set<string>();
  private wanted: { layer: Layer; ids: readonly TileId[] } | null = null;
  private paused = false;

  constructor(
    private readonly load: Load,
    private readonly events: Events,
    private readonly capacity = CAPACITY,
  ) {}

  get(layer: Layer, id: TileId): Tile | undefined {
    const key = keyOf(layer, id);
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.tile;
  }

  /** Asks for what is in view now; what was asked for earlier and has not been sent is forgotten. */
  want(layer: Layer, ids: readonly TileId[]): void {
    this.wanted = { layer, ids };
    for (const flight of this.flights) if (!sameLayer(flight.layer, layer)) this.cancel(flight);
    this.send();
  }

  /** Nothing that is wanted can still come by itself. */
  get idle(): boolean {
    return this.flights.size === 0 && this.missing().length === 0;
  }

  /** New steps from `fromStep` on: tiles that they may change are fetched again when they are next wanted. */
  invalidate(run: string, grid: Grid, fromStep: number): void {
    for (const entry of this.entries.values()) {
      if (entry.run !== run) continue;
      const endStep = (entry.tile.c + 1) * TILE_CELLS * stepsInCell(grid, entry.tile.level);
      if (endStep > fromStep || !isSettled(entry.tile)) entry.stale = true;
    }
    for (const flight of this.flights) if (flight.layer.run === run) flight.overtaken = true;
    this.resume();
  }

  /** Drops a run's tiles, for their rows stand for other nodes now. */
  forget(run: string): void {
    for (const [key, entry] of this.entries) if (entry.run === run) this.entries.delete(key);
    for (const flight of this.flights) if (flight.layer.run === run) this.cancel(flight);
    this.resume();
  }

  /** Tries again what failed. */
  resume(): void {
    this.paused = false;
    this.refused.clear();
    this.send();
  }

  private send(): void {
    while (this.wanted !== null && !this.paused && this.flights.size < FLIGHTS) {
      const ids = this.missing().slice(0, BATCH);
      if (ids.length === 0) return;
      void this.fly(this.wanted.layer, ids);
    }
  }

  /** Wanted tiles that nobody has asked for yet: absent ones first, then those to be brought up to date. */
  private missing(): TileId[] {
    if (this.wanted === null) return [];
    const { layer, ids } = this.wanted;
    const flying = new Set([...this.flights].flatMap((flight) => [...flight.keys]));
    const absent: TileId[] = [];
    const stale: TileId[] = [];
    for (const id of ids) {
      const key = keyOf(layer, id);
      if (flying.has(key) || this.refused.has(key)) continue;
      const entry = this.entries.get(key);
      if (entry === undefined) absent.push(id);
      else if (entry.stale) stale.push(id);
    }
    return [...absent, ...stale];
  }

  private async fly(layer: Layer, ids: readonly TileId[]): Promise<void> {
    const keys = new Set(ids.map((id) => keyOf(layer, id)));
    const flight: Flight = { layer, keys, abort: new AbortController(), overtaken: false };
    this.flights.add(flight);
    try {
      const tiles = await this.load(layer, ids, flight.abort.signal);
      if (!this.flights.has(flight)) return;
      for (const tile of tiles) this.keep(flight, tile);
      // A tile left out of the reply would otherwise be asked for again at once, and for ever.
      for (const key of keys) if (!this.entries.has(key)) this.refused.add(key);
      this.evict();
    } catch (error) {
      if (!this.flights.has(flight)) return;
      if (error instanceof Unreachable) this.paused = true;
      else for (const key of keys) this.refused.add(key);
      this.events.failed(error);
    } finally {
      if (this.flights.delete(flight)) {
        this.send();
        this.events.changed();
      }
    }
  }

  private keep(flight: Flight, tile: Tile): void {
    const key = keyOf(flight.layer, tile);
    if (!flight.keys.has(key)) return;
    this.entries.delete(key);
    this.entries.set(key, { tile, run: flight.layer.run, stale: flight.overtaken });
  }

  private evict(): void {
    // Never what is in view: that would be fetched and dropped in turn.
    const keep = Math.max(this.capacity, 2 * (this.wanted?.ids.length ?? 0));
    for (const key of this.entries.keys()) {
      if (this.entries.size <= keep) return;
      this.entries.delete(key);
    }
  }

  private cancel(flight: Flight): void {
    this.flights.delete(flight);
    flight.abort.abort();
  }
}

function keyOf(layer: Layer, id: TileId): string {
  return [layer.run, layer.stream, layer.metric, layer.view, tileName(id)].join('\n');
}

function sameLayer(a: Layer, b: Layer): boolean {
  return a.run === b.run && a.stream === b.stream && a.metric === b.metric && a.view === b.view;
}

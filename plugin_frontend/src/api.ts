import {
  type CellFigures,
  type Meta,
  type Notes,
  type Run,
  parseCell,
  parseMeta,
  parseNotes,
  parseRuns,
} from './contract.ts';
import { type Tile, type TileId, parseTiles, tileName } from './tiles.ts';

/** What a heatmap shows: one metric of one stream of one run, in one view. */
export interface Layer {
  run: string;
  stream: string;
  metric: string;
  view: string;
}

/** TensorBoard gave no answer of its own: it is down, restarting, or a proxy answered in its place. */
export class Unreachable extends Error {}

/** The backend answered that it cannot: the message says what it expected, what came and what to do. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const PATIENCE_MS = 60_000;

export type Fetcher = (url: URL, init: RequestInit) => Promise<Response>;

/** The routes of http_api.md below `base`. */
export class Api {
  constructor(
    private readonly base: URL,
    private readonly fetcher: Fetcher = (url, init) => fetch(url, init),
  ) {}

  async runs(): Promise<Run[]> {
    return parseRuns(await this.json('runs', {}));
  }

  async meta(run: string): Promise<Meta> {
    return parseMeta(await this.json('meta', { run }));
  }

  async tiles(layer: Layer, ids: readonly TileId[], signal?: AbortSignal): Promise<Tile[]> {
    const response = await this.get('tiles', { ...layer, ids: ids.map(tileName).join(',') }, signal);
    return parseTiles(await response.arrayBuffer().catch(lost));
  }

  async cell(run: string, stream: string, node: number, level: number, index: number): Promise<CellFigures> {
    const where = { run, stream, node: String(node), level: String(level), index: String(index) };
    return parseCell(await this.json('cell', where));
  }

  /** The first notes of the steps [begin, end). */
  async notes(run: string, stream: string, begin: number, end: number): Promise<Notes> {
    return parseNotes(await this.json('notes', { run, stream, begin: String(begin), end: String(end) }));
  }

  private async json(route: string, query: Record<string, string>): Promise<unknown> {
    const response = await this.get(route, query);
    return response.json().catch(lost);
  }

  private async get(route: string, query: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    const url = new URL(route, this.base);
    url.search = new URLSearchParams(query).toString();
    const patience = AbortSignal.timeout(PATIENCE_MS);
    // The tile cache is ours and knows about revisions, which the URLs do not carry.
    const response = await this.fetcher(url, {
      cache: 'no-store',
      signal: signal === undefined ? patience : AbortSignal.any([signal, patience]),
    }).catch(lost);
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

function lost(error: unknown): never {
  if (error instanceof DOMException && error.name === 'AbortError') throw error;
  throw new Unreachable(error instanceof Error ? error.message : String(error));
}

/** Only a JSON answer with an `error` is the plugin's own; a proxy's HTML page means that nobody is there. */
async function refusal(response: Response): Promise<Error> {
  const body: unknown = await response.json().catch(() => null);
  if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string')
    return new Refused(response.status, body.error);
  return new Unreachable(`HTTP status ${response.status}`);
}

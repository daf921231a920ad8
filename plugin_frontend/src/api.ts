import {
  type Alerts,
  type CellFigures,
  type Findings,
  type Histogram,
  type Lines,
  type Meta,
  type NodeValues,
  type Notes,
  type Overview,
  type Rows,
  type Run,
  parseAlerts,
  parseCell,
  parseExponents,
  parseFindings,
  parseLines,
  parseMeta,
  parseNotes,
  parseOverview,
  parseRows,
  parseRuns,
  parseValues,
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
export class Unreachable extends Error {
  constructor(
    message: string,
    readonly status?: number,
  ) {
    super(message);
  }
}

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

  /**
   * With the metrics and nodes of a stream: the first one unless the run has the one that is named. Null is the first
   * run that can be shown.
   */
  async meta(run: string | null, stream: string | null = null): Promise<Meta> {
    const named = Object.entries({ run, stream }).filter((one): one is [string, string] => one[1] !== null);
    return parseMeta(await this.json('meta', Object.fromEntries(named)));
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

  /** One value of every node over the steps [begin, end). */
  async values(layer: Layer, begin: number, end: number, signal?: AbortSignal): Promise<NodeValues> {
    return parseValues(await this.json('values', { ...layer, ...interval(begin, end) }, signal));
  }

  /** Mean, min and max of up to 16 nodes over the steps [begin, end), in at most `cells` cells. */
  async lines(
    { run, stream, metric }: Layer,
    nodes: readonly number[],
    begin: number,
    end: number,
    cells: number,
    signal?: AbortSignal,
  ): Promise<Lines> {
    const where = {
      run,
      stream,
      metric,
      nodes: nodes.join(','),
      ...interval(begin, end),
      cells: String(cells),
    };
    return parseLines(await this.json('lines', where, signal));
  }

  /** The finest rows that touch the steps [begin, end), with all that is known of a node. */
  async rows(
    run: string,
    stream: string,
    node: number,
    begin: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<Rows> {
    const where = { run, stream, node: String(node), ...interval(begin, end) };
    return parseRows(await this.json('rows', where, signal));
  }

  /** The histogram of log2 |x| of a node over the steps [begin, end), or null where the run has none of it. */
  async exponents(
    run: string,
    stream: string,
    node: number,
    begin: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<Histogram | null> {
    const where = { run, stream, node: String(node), ...interval(begin, end) };
    return parseExponents(await this.json('exponents', where, signal));
  }

  /** What belongs to the whole training, over the steps [begin, end) in at most `cells` cells. */
  async overview(
    run: string,
    begin: number,
    end: number,
    cells: number,
    signal?: AbortSignal,
  ): Promise<Overview> {
    const where = { run, ...interval(begin, end), cells: String(cells) };
    return parseOverview(await this.json('overview', where, signal));
  }

  async alerts(run: string, stream: string): Promise<Alerts> {
    return parseAlerts(await this.json('alerts', { run, stream }));
  }

  /** What the diagnosis found while the run was recorded. */
  async findings(run: string): Promise<Findings> {
    return parseFindings(await this.json('findings', { run }));
  }

  /** Where the view is to be had as a CSV file; all nodes without `nodes`. */
  csvUrl(layer: Layer, nodes: readonly number[] | null, begin: number, end: number, cells: number): URL {
    const url = new URL('export.csv', this.base);
    const some = nodes === null ? {} : { nodes: nodes.join(',') };
    url.search = new URLSearchParams({
      ...layer,
      ...some,
      ...interval(begin, end),
      cells: String(cells),
    }).toString();
    return url;
  }

  private async json(route: string, query: Record<string, string>, signal?: AbortSignal): Promise<unknown> {
    const response = await this.get(route, query, signal);
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

function interval(begin: number, end: number): { begin: string; end: string } {
  return { begin: String(begin), end: String(end) };
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
  return new Unreachable(`HTTP status ${response.status}`, response.status);
}

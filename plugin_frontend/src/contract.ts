/**
 * The JSON half of `tb_gradhealth/plugin/http_api.md` as types, each derived from the reader that checks it, so a reply
 * of another shape is one clear sentence here and not an undefined value three modules later.
 */

type Reader<T> = (value: unknown, where: string) => T;
type Shape = Record<string, Reader<unknown>>;
type Read<R> = R extends Reader<infer T> ? T : never;

export class ContractError extends Error {}

function expected(what: string, where: string, value: unknown): never {
  const came = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
  throw new ContractError(
    `${where}: expected ${what}, got ${came}; front end and backend may be of two versions`,
  );
}

const text: Reader<string> = (value, where) =>
  typeof value === 'string' ? value : expected('a string', where, value);

const truth: Reader<boolean> = (value, where) =>
  typeof value === 'boolean' ? value : expected('true or false', where, value);

const whole: Reader<number> = (value, where) =>
  Number.isSafeInteger(value) ? (value as number) : expected('an integer', where, value);

const number: Reader<number> = (value, where) =>
  typeof value === 'number' ? value : expected('a number', where, value);

/** A figure: null is no data, and JSON's three missing numbers come as strings. */
const figure: Reader<number | null> = (value, where) => {
  if (value === null || typeof value === 'number') return value;
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  return expected('a number, null, "NaN", "Infinity" or "-Infinity"', where, value);
};

function oneOf<const T extends string>(...names: T[]): Reader<T> {
  return (value, where) => names.find((name) => name === value) ?? expected(names.join(' | '), where, value);
}

function orNull<T>(reader: Reader<T>): Reader<T | null> {
  return (value, where) => (value === null || value === undefined ? null : reader(value, where));
}

function listOf<T>(reader: Reader<T>): Reader<T[]> {
  return (value, where) =>
    Array.isArray(value)
      ? value.map((item, i) => reader(item, `${where}[${i}]`))
      : expected('a list', where, value);
}

/** Steps [first, end). */
const interval: Reader<[number, number]> = (value, where) => {
  const [first, end, ...rest] = listOf(whole)(value, where);
  if (first === undefined || end === undefined || rest.length > 0 || end < first)
    return expected('two rising integers', where, value);
  return [first, end];
};

function entriesOf(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    expected('an object', where, value);
  return value as Record<string, unknown>;
}

function object<S extends Shape>(shape: S): Reader<{ [K in keyof S]: Read<S[K]> }> {
  return (value, where) => {
    const fields = entriesOf(value, where);
    const read = Object.entries(shape).map(([key, reader]) => [key, reader(fields[key], `${where}.${key}`)]);
    return Object.fromEntries(read) as { [K in keyof S]: Read<S[K]> };
  };
}

function mapOf<T>(reader: Reader<T>): Reader<Map<string, T>> {
  return (value, where) =>
    new Map(
      Object.entries(entriesOf(value, where)).map(([key, item]) => [key, reader(item, `${where}.${key}`)]),
    );
}

const readRun = object({
  name: text,
  label: text,
  status: oneOf('ok', 'waiting', 'none', 'unreadable'),
  problem: orNull(text),
  revision: whole,
});

const readMetric = object({
  name: text,
  label: text,
  unit: text,
  kind: oneOf('magnitude', 'fraction', 'signed', 'count'),
  scale: oneOf('log', 'linear'),
  meaning: text,
  group: text,
});

const readNamed = object({ name: text, label: text });

const readStream = object({ name: text, label: text, what: text, sampled: truth, histogram: truth });

const readNodes = object({
  name: listOf(text),
  kind: listOf(oneOf('total', 'module', 'tensor')),
  parent: listOf(whole),
  shape: listOf(orNull(listOf(whole))),
  dtype: listOf(orNull(text)),
  size: listOf(whole),
  aliases: listOf(listOf(text)),
});

const readMeta = object({
  run: text,
  label: text,
  revision: whole,
  problem: orNull(text),
  steps: interval,
  cell: whole,
  levels: whole,
  overview: truth,
  streams: listOf(readStream),
  stream: text,
  metrics: listOf(readMetric),
  views: listOf(readNamed),
  nodes: readNodes,
  sessions: listOf(object({ id: text, start: whole, stop: whole, wall_time: orNull(figure) })),
});

const readCell = object({
  node: whole,
  steps: interval,
  recorded: whole,
  with_data: whole,
  first_bad: orNull(whole),
  counts: mapOf(whole),
  metrics: mapOf(
    object({
      mean: figure,
      min: figure,
      max: figure,
      worst: figure,
      worst_node: orNull(whole),
      worst_steps: orNull(interval),
    }),
  ),
});

const readNotes = object({
  notes: listOf(
    object({
      step: whole,
      kind: text,
      tensors: listOf(object({ name: text, nan: whole, pos_inf: whole, neg_inf: whole })),
      more: whole,
      values: mapOf(figure),
    }),
  ),
  complete: truth,
});

const readBand = { mean: listOf(figure), min: listOf(figure), max: listOf(figure) };

const readValues = object({ steps: interval, values: listOf(figure) });

const readLines = object({
  edges: listOf(whole),
  lines: listOf(object({ node: whole, ...readBand, flags: listOf(whole) })),
});

const readSpread = object({ mean: figure, min: figure, max: figure });

const readRows = object({
  rows: listOf(
    object({
      steps: interval,
      recorded: whole,
      with_data: whole,
      first_bad: orNull(whole),
      counts: mapOf(whole),
      metrics: mapOf(readSpread),
      logged: mapOf(readSpread),
    }),
  ),
  complete: truth,
});

const readExponents = object({
  histogram: orNull(
    object({
      label: text,
      what: text,
      steps: interval,
      recorded: whole,
      with_data: whole,
      counts: mapOf(whole),
      bins: listOf(object({ low: figure, high: figure, mean: figure, min: figure, max: figure })),
      formats: listOf(
        object({
          name: text,
          label: text,
          zero: whole,
          normal: whole,
          largest: number,
          underflow: readSpread,
          subnormal: readSpread,
          overflow: readSpread,
        }),
      ),
    }),
  ),
});

const readOverview = object({
  edges: listOf(whole),
  series: listOf(
    object({ name: text, label: text, kind: oneOf('norm', 'loss', 'rate', 'other'), ...readBand }),
  ),
  skipped: listOf(whole),
});

const readAlerts = object({
  alerts: listOf(
    object({
      id: text,
      severity: oneOf('critical', 'warning', 'notice'),
      kind: text,
      node: whole,
      steps: interval,
      metric: text,
      value: figure,
      text,
    }),
  ),
  complete: truth,
});

const readFindings = object({
  findings: listOf(
    object({
      id: text,
      severity: oneOf('critical', 'high', 'medium', 'low', 'notice'),
      type: text,
      rule: text,
      name: text,
      node: orNull(whole),
      steps: interval,
      detected: whole,
      evidence: listOf(text),
      causes: listOf(text),
      actions: listOf(text),
      innocent: text,
      follows: text,
      text,
    }),
  ),
  recorded: truth,
  revision: whole,
});

export type Run = Read<typeof readRun>;
export type Metric = Read<typeof readMetric>;
export type Named = Read<typeof readNamed>;
export type Stream = Read<typeof readStream>;
export type Nodes = Read<typeof readNodes>;
export type Meta = Read<typeof readMeta>;
export type CellFigures = Read<typeof readCell>;
export type NodeValues = Read<typeof readValues>;
export type Lines = Read<typeof readLines>;
export type Line = Lines['lines'][number];
export type Rows = Read<typeof readRows>;
export type Row = Rows['rows'][number];
export type Histogram = NonNullable<Read<typeof readExponents>['histogram']>;
export type ExponentBin = Histogram['bins'][number];
/** What a number format, such as float16, holds of them. */
export type NumberFormat = Histogram['formats'][number];
export type Overview = Read<typeof readOverview>;
export type Series = Overview['series'][number];
export type Alerts = Read<typeof readAlerts>;
export type Alert = Alerts['alerts'][number];
export type Severity = Alert['severity'];
export type Findings = Read<typeof readFindings>;
/** What the diagnosis says of a node, or of the whole model. */
export type Finding = Findings['findings'][number];
export type Session = Meta['sessions'][number];
export type Notes = Read<typeof readNotes>;
export type Note = Notes['notes'][number];
export type Fault = Note['tensors'][number];
export type Kind = Metric['kind'];
/** How values become colours; `diverging` is the front end's own, no metric asks for it. */
export type ScaleName = Metric['scale'] | 'diverging';

export function parseRuns(reply: unknown): Run[] {
  return object({ runs: listOf(readRun) })(reply, 'runs').runs;
}

export function parseMeta(reply: unknown): Meta {
  const meta = readMeta(reply, 'meta');
  const { name, ...columns } = meta.nodes;
  for (const [key, column] of Object.entries(columns))
    if (column.length !== name.length)
      expected(`${name.length} entries, as in nodes.name`, `meta.nodes.${key}`, column.length);
  if (meta.cell < 1 || meta.levels < 1)
    expected('cell and levels of 1 or more', 'meta', [meta.cell, meta.levels]);
  return meta;
}

export function parseCell(reply: unknown): CellFigures {
  return readCell(reply, 'cell');
}

export function parseNotes(reply: unknown): Notes {
  return readNotes(reply, 'notes');
}

export function parseValues(reply: unknown): NodeValues {
  return readValues(reply, 'values');
}

export function parseLines(reply: unknown): Lines {
  const lines = readLines(reply, 'lines');
  for (const { mean, min, max, flags } of lines.lines)
    sameLength(lines.edges, [mean, min, max, flags], 'lines');
  return lines;
}

export function parseRows(reply: unknown): Rows {
  return readRows(reply, 'rows');
}

export function parseExponents(reply: unknown): Histogram | null {
  return readExponents(reply, 'exponents').histogram;
}

export function parseOverview(reply: unknown): Overview {
  const overview = readOverview(reply, 'overview');
  sameLength(overview.edges, [overview.skipped], 'overview');
  for (const { mean, min, max } of overview.series) sameLength(overview.edges, [mean, min, max], 'overview');
  return overview;
}

export function parseAlerts(reply: unknown): Alerts {
  return readAlerts(reply, 'alerts');
}

export function parseFindings(reply: unknown): Findings {
  return readFindings(reply, 'findings');
}

function sameLength(edges: readonly number[], columns: readonly unknown[][], where: string): void {
  const cells = Math.max(0, edges.length - 1);
  for (const column of columns)
    if (column.length !== cells) expected(`${cells} entries, one less than edges`, where, column.length);
}

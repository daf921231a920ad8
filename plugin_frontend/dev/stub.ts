import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import type { CellFigures, Run } from '../src/contract.ts';
import { bf16Of, encodeTile, foldedOf } from '../tests/support/encode.ts';
import {
  type FakeRun,
  METRICS,
  aboutOf,
  metaOf,
  nodesOf,
  notesOf,
  planted,
  transformer,
  valueOf,
} from './fake_run.ts';
import { alertsOf } from './fake_alerts.ts';
import { type Diagnosis, findingsOf } from './fake_findings.ts';
import { csvOf } from './fake_export.ts';
import { linesOf } from './fake_lines.ts';
import { overviewOf } from './fake_overview.ts';
import { rowsOf } from './fake_rows.ts';
import { STREAMS, ofStream, seenIn } from './fake_streams.ts';
import { valuesOf } from './fake_values.ts';

const PLUGIN = '/data/plugin/gradhealth/';
const CSP =
  "default-src 'self'; font-src 'self' data:; frame-ancestors *; frame-src 'self'; img-src 'self' data: blob:; " +
  "object-src 'none'; style-src 'self' https://www.gstatic.com data: 'unsafe-inline'; script-src 'self'";
const HOST = `<!doctype html><body style="margin:0"><iframe src="plugin_entry.html" style="display:block;border:0;width:100vw;height:100vh">
</iframe></body>`;
const FRAME = `<!doctype html><head><base href="plugin/gradhealth/"></head><body><script type="module" src="/entry.js"></script></body>`;
const ENTRY = `const {render} = await import('${PLUGIN}static/index.js'); render();`;

const NAMES = [
  '‮evil.weight',
  '<img src=x onerror=alert(1)>',
  'ا'.repeat(40) + '.weight',
  'long.' + 'x'.repeat(5000),
];
const plant = (tensor: string, from: number, to: number, flags: number, factor = 1) => ({
  tensor,
  from,
  to,
  flags,
  factor,
});
const big: FakeRun = {
  tensors: transformer(12, 768),
  plants: [
    plant('blocks.4.attn.qkv.bias', 7_777, 7_778, 1),
    plant('blocks.7.mlp.fc.weight', 12_000, 12_040, 2),
    plant('blocks.7.mlp.proj.bias', 12_200, 12_201, 4),
    plant('blocks.2.ln_1.weight', 4_000, 4_001, 0, 500),
    plant('head.weight', 0, 3_000, 8),
  ],
  ...{ steps: 20_003, pace: 7, cell: 10, problem: null },
};
const RUNS: Record<string, FakeRun> = {
  'exp1/gradhealth': big,
  'exp2 diverged/gradhealth': {
    ...{ tensors: transformer(1, 64), steps: 600, pace: 0, cell: 1 },
    plants: transformer(1, 64).map(({ name }, i) => plant(name, 420 - 3 * i, 600, 1)),
    problem: '3 of 60 blocks are damaged and left out: steps 120 to 150 are missing.',
  },
  'huge/gradhealth': { ...big, tensors: transformer(830, 64), steps: 1_000_000, pace: 0, problem: null },
  'hostile/gradhealth': { ...big, tensors: NAMES.map((name) => ({ name, shape: [4] })), steps: 90, pace: 0 },
  '<b>bold</b>/gradhealth': { ...big, steps: 40, pace: 1, cell: 1 },
};
const DIAGNOSES: Record<string, Diagnosis> = {
  'exp1/gradhealth': 'planted',
  'huge/gradhealth': 'healthy',
  'hostile/gradhealth': 'hostile',
};
const OTHERS: Run[] = [
  { name: 'just started/gradhealth', label: 'just started', status: 'waiting', problem: null, revision: 0 },
  {
    name: 'broken/gradhealth',
    label: 'broken',
    status: 'unreadable',
    problem: 'The schema is of version 9; this plugin reads 1. Update tb_gradhealth.',
    revision: 0,
  },
  { name: 'exp1', label: 'exp1', status: 'none', problem: null, revision: 0 },
  { name: 'exp2', label: 'exp2', status: 'none', problem: null, revision: 0 },
];

const started = Date.now();
/** Set through `/stub?mode=…`: ok, down (no answer at all) or empty (no run has our data). */
let mode = 'ok';

function stepsOf(run: FakeRun): number {
  return run.steps + Math.floor(((Date.now() - started) / 1000) * run.pace);
}

function tileOf(name: string, run: FakeRun, query: URLSearchParams, id: string): Buffer {
  const [level = 0, r = 0, c = 0] = id.split('.').map(Number);
  const [nodes, steps, size] = [nodesOf(run.tensors), stepsOf(run), run.cell * 2 ** level];
  const metric = METRICS.find((one) => one.name === query.get('metric')) ?? METRICS[0];
  if (metric === undefined) throw new Error(`no metric for ${name}`);
  const cells = Math.min(512, Math.ceil(steps / size) - 512 * c);
  const codes = new Uint16Array(64 * 512).fill(0x7fc0);
  const flags = new Uint8Array(64 * 512);
  const rows = Math.min(64, nodes.name.length - 64 * r);
  for (let row = 0; row < rows; row++)
    for (let cell = 0; cell < cells; cell++) {
      const [node, from, to] = [64 * r + row, (512 * c + cell) * size, (512 * c + cell + 1) * size];
      const found = valueOf(run, metric, query.get('view') ?? '', node, nodes.name[node] ?? '', from, to);
      codes[512 * row + cell] = metric.kind === 'fraction' ? foldedOf(found.value) : bf16Of(found.value);
      flags[512 * row + cell] = found.flags | (to > steps ? 16 : 0);
    }
  const encoding = metric.kind === 'fraction' ? 1 : 0;
  return encodeTile({
    encoding,
    level,
    r,
    c,
    rows,
    cells,
    revision: 1 + Math.floor(steps / run.cell),
    codes,
    flags,
  });
}

function cellOf(run: FakeRun, query: URLSearchParams): object {
  const [node, level, index] = ['node', 'level', 'index'].map((key) => Number(query.get(key)));
  const nodes = nodesOf(run.tensors);
  const [size, name] = [run.cell * 2 ** (level ?? 0), nodes.name[node ?? 0] ?? ''];
  const from = (index ?? 0) * size;
  const to = Math.min(stepsOf(run), from + size);
  const hit = planted(run, name, from, to);
  const figure = (metric: (typeof METRICS)[number], view: string) =>
    valueOf(run, metric, view, node ?? 0, name, from, to).value;
  const bad = (flag: number) => hit.filter((one) => (one.flags & flag) !== 0).length;
  const count = (nodes.size[node ?? 0] ?? 0) * (to - from);
  const metrics = METRICS.map((metric): [string, object] => [
    metric.name,
    {
      ...{ mean: figure(metric, 'mean'), min: figure(metric, 'min'), max: figure(metric, 'max') },
      ...{ worst: figure(metric, 'max'), worst_node: nodes.name.length - 1, worst_steps: [from, to] },
    },
  ]);
  const reply = {
    node,
    steps: [from, to],
    recorded: seenIn(run, from, to),
    with_data: seenIn(run, from, to),
  } as unknown as CellFigures;
  return {
    ...reply,
    first_bad: hit.some((one) => (one.flags & 7) !== 0)
      ? Math.max(from, ...hit.map((one) => one.from))
      : null,
    counts: { count, zero: 0, near_zero: 3, saturated: 0, nan: bad(1), pos_inf: bad(2), neg_inf: bad(4) },
    metrics: Object.fromEntries(metrics),
  };
}

function answer(url: URL, response: ServerResponse): void {
  const query = url.searchParams;
  const json = (value: unknown, status = 200) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  const route = url.pathname.slice(PLUGIN.length);
  const ours = Object.entries(RUNS).map(([name, run]): Run => {
    return { name, status: 'ok', ...aboutOf(name, run, stepsOf(run)) };
  });
  if (route === 'runs') {
    json({ runs: mode === 'empty' ? OTHERS.slice(2) : [...ours, ...OTHERS] });
    return;
  }
  const name = query.get('run') ?? '';
  const whole = RUNS[name];
  const run = whole === undefined ? undefined : ofStream(whole, query.get('stream'));
  if (run === undefined) json({ error: `expected a run that TensorBoard lists, got ${name}` }, 404);
  else if (route === 'meta') json(metaOf(name, run, stepsOf(run), STREAMS));
  else if (route === 'cell') json(cellOf(run, query));
  else if (route === 'values') json(valuesOf(run, query));
  else if (route === 'lines') json(linesOf(run, query));
  else if (route === 'rows') json(rowsOf(run, query, stepsOf(run)));
  else if (route === 'overview') json(overviewOf(run, query, stepsOf(run)));
  else if (route === 'alerts') json(alertsOf(run, stepsOf(run)));
  else if (route === 'findings') json(findingsOf(run, DIAGNOSES[name] ?? 'none', stepsOf(run)));
  else if (route === 'export.csv') {
    response.writeHead(200, {
      'content-type': 'text/csv',
      'content-disposition': 'attachment; filename="view.csv"',
    });
    response.end(csvOf(run, query, stepsOf(run)));
  } else if (route === 'notes')
    json(notesOf(stepsOf(run), Number(query.get('begin')), Number(query.get('end'))));
  else if (route !== 'tiles') json({ error: `no route ${route}` }, 404);
  else {
    const tiles = (query.get('ids') ?? '').split(',').map((id) => tileOf(name, run, query, id));
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' });
    response.end(gzipSync(Buffer.concat(tiles), { level: 1 }));
  }
}

export function handle(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  const url = new URL(request.url ?? '/', 'http://stub');
  const send = (type: string, body: string | Buffer) => {
    response.writeHead(200, { 'content-type': type, 'content-security-policy': CSP });
    response.end(body);
  };
  if (url.pathname === '/') send('text/html', HOST);
  else if (url.pathname === '/plugin_entry.html') send('text/html', FRAME);
  else if (url.pathname === '/entry.js') send('text/javascript', ENTRY);
  else if (url.pathname === '/favicon.ico') send('image/x-icon', '');
  else if (url.pathname === '/stub') send('text/plain', (mode = url.searchParams.get('mode') ?? mode));
  else if (url.pathname.startsWith(PLUGIN + 'static/')) {
    const file = resolve(
      import.meta.dirname,
      '../../tb_gradhealth/plugin/static',
      url.pathname.slice(PLUGIN.length + 'static/'.length),
    );
    send(file.endsWith('.map') ? 'application/json' : 'text/javascript', readFileSync(file));
  } else if (!url.pathname.startsWith(PLUGIN)) next();
  else if (mode === 'down') request.socket.destroy();
  else answer(url, response);
}

/** TensorBoard's part, played with invented runs: a host page, its frame, its CSP and the routes of http_api.md. */
export function stub(): Plugin {
  return {
    name: 'gradhealth-stub',
    configureServer: (server) => {
      server.middlewares.use(handle);
    },
  };
}

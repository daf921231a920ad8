import type { Meta, Metric, Stream } from '../src/contract.ts';

/** Something that goes wrong in a tensor during steps [from, to): flags, and a factor on its values. */
export interface Plant {
  tensor: string;
  from: number;
  to: number;
  flags: number;
  factor: number;
}

export interface FakeRun {
  tensors: readonly { name: string; shape: number[] }[];
  plants: readonly Plant[];
  /** Steps at the start, and steps per second after that. */
  steps: number;
  pace: number;
  cell: number;
  problem: string | null;
  sampled?: boolean;
}

const MAGNITUDE = (name: string, label: string, unit: string, meaning: string): Metric => ({
  ...{ name, label, unit, meaning, group: 'Size' },
  kind: 'magnitude',
  scale: 'log',
});

const FRACTION = (name: string, label: string, meaning: string): Metric => ({
  ...{ name, label, meaning, group: 'Zeros' },
  unit: 'share of elements',
  kind: 'fraction',
  scale: 'linear',
});

export const METRICS: readonly Metric[] = [
  MAGNITUDE('norm', 'Norm', 'L2', 'L2 norm of the finite elements'),
  MAGNITUDE('rms', 'RMS', 'per element', 'norm / sqrt(finite elements)'),
  FRACTION('near_zero_fraction', 'Near-zero fraction', 'share with |x| < 1e-8, exact zeros included'),
  FRACTION('zero_fraction', 'Zero fraction', 'share that is exactly 0'),
  {
    ...MAGNITUDE('nonfinite', 'Non-finite elements', 'elements', 'elements that are NaN or infinite'),
    kind: 'count',
    group: 'Large and non-finite',
  },
  {
    ...MAGNITUDE('mean', 'Mean', 'per element', 'mean of the finite elements'),
    kind: 'signed',
    group: 'Distribution',
    scale: 'linear',
  },
];

const VIEWS = [
  { name: 'max', label: 'max over steps' },
  { name: 'mean', label: 'mean over steps' },
  { name: 'min', label: 'min over steps' },
  { name: 'worst', label: 'worst tensor inside' },
];

const nodesByModel = new WeakMap<FakeRun['tensors'], Meta['nodes']>();

/** The nodes of a model, breadth first. */
export function nodesOf(tensors: FakeRun['tensors']): Meta['nodes'] {
  const nodes = nodesByModel.get(tensors) ?? breadthFirst(tensors);
  nodesByModel.set(tensors, nodes);
  return nodes;
}

function breadthFirst(tensors: FakeRun['tensors']): Meta['nodes'] {
  const modules = new Set<string>();
  for (const { name } of tensors)
    for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1))
      modules.add(name.slice(0, dot));
  const above = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('.')));
  const sizes = tensors.map(({ shape }) => shape.reduce((product, n) => product * n, 1));
  const sizeOf = (module: string) =>
    tensors.reduce((sum, { name }, i) => sum + (name.startsWith(module + '.') ? (sizes[i] ?? 0) : 0), 0);
  const all = [
    ...[...modules].map((name) => ({ name, kind: 'module' as const, shape: null, size: sizeOf(name) })),
    ...tensors.map(({ name, shape }, i) => ({ name, kind: 'tensor' as const, shape, size: sizes[i] ?? 0 })),
  ];
  const depth = (name: string) => name.split('.').length;
  const order = new Map(tensors.map(({ name }, i) => [name, i]));
  const firstTensor = (name: string) => tensors.findIndex((tensor) => tensor.name.startsWith(name + '.'));
  const rank = new Map(all.map(({ name }) => [name, order.get(name) ?? firstTensor(name)]));
  all.sort((a, b) => depth(a.name) - depth(b.name) || (rank.get(a.name) ?? 0) - (rank.get(b.name) ?? 0));
  const index = new Map(all.map(({ name }, i) => [name, i + 1]));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return {
    name: ['', ...all.map((node) => node.name)],
    kind: ['total', ...all.map((node) => node.kind)],
    parent: [-1, ...all.map((node) => index.get(above(node.name)) ?? 0)],
    shape: [null, ...all.map((node) => node.shape)],
    dtype: [null, ...all.map((node) => (node.kind === 'tensor' ? 'float32' : null))],
    size: [total, ...all.map((node) => node.size)],
    aliases: [[], ...all.map((_, i) => (i === all.length - 1 ? ['lm_head.weight'] : []))],
  };
}

export function levelsOf(steps: number, cell: number): number {
  return Math.max(0, Math.ceil(Math.log2(steps / cell / 512))) + 1;
}

/** What is told of a run without its nodes, of which there may be many. */
export function aboutOf(name: string, run: FakeRun, steps: number) {
  const label = name.replace('/gradhealth', '');
  return { label, revision: 1 + Math.floor(steps / run.cell), problem: run.problem };
}

/** With the nodes of `run`, which is as the stream has it. */
export function metaOf(name: string, run: FakeRun, steps: number, streams: readonly Stream[]): Meta {
  return {
    ...{ run: name, ...aboutOf(name, run, steps) },
    ...{
      steps: [0, steps],
      cell: run.cell,
      levels: levelsOf(steps, run.cell),
      overview: false,
    },
    streams: [...streams],
    stream: streams.find(({ sampled }) => sampled === (run.sampled ?? false))?.name ?? '',
    metrics: [...METRICS],
    views: VIEWS,
    nodes: nodesOf(run.tensors),
    sessions: [
      { id: '00', start: 0, stop: Math.floor(steps / 2), wall_time: 1.7e9 },
      { id: '01', start: Math.floor(steps / 3), stop: steps, wall_time: 1.7e9 },
    ],
  };
}

interface Note {
  step: number;
  kind: string;
  tensors: string[];
  more: number;
  values: { loss_scale: number };
}

/** A skipped step now and then, in the form of http_api.md. */
export function notesOf(steps: number, begin: number, end: number) {
  const notes: Note[] = [];
  for (let step = 700; step < Math.min(end, steps); step += 700)
    if (step >= begin)
      notes.push({
        step,
        kind: 'skipped',
        tensors: [],
        more: 3,
        values: { loss_scale: 2 ** (notes.length % 17) },
      });
  return { notes: notes.slice(0, 1_000), complete: notes.length <= 1_000 };
}

/** A number in [0, 1) that looks random and is the same at each call. */
function noise(a: number, b: number): number {
  let mixed = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32;
}

/** A figure of a node during a cell: smooth over steps, different by node, with what is planted in it. */
export function valueOf(
  run: FakeRun,
  metric: Metric,
  view: string,
  node: number,
  name: string,
  from: number,
  to: number,
) {
  const calm = 0.12 + 0.9 * Math.exp(-from / 4000) + 0.05 * Math.sin(from / 900 + node);
  const jitter = 1 + (view === 'min' ? -0.5 : view === 'max' ? 0.7 : 0) * noise(node, from);
  const size = 10 ** (-2.5 * noise(node, 7) - 0.25 * name.split('.').length) * calm * jitter;
  const hit = planted(run, name, from, to);
  const factor = Math.max(1, ...hit.map((plant) => plant.factor));
  const flags = hit.reduce((all, plant) => all | plant.flags, 0);
  const gone = hit.some((plant) => plant.flags === 8 && plant.tensor === name);
  if (gone) return { value: Number.NaN, flags };
  if (metric.kind === 'signed') return { value: (noise(node, from + 1) - 0.5) * size * factor, flags };
  if (metric.kind === 'count') return { value: hit.filter((plant) => (plant.flags & 7) !== 0).length, flags };
  if (metric.kind === 'magnitude') return { value: name.endsWith('frozen') ? 0 : size * factor, flags };
  const high = noise(node, 9) > 0.8;
  const small = Math.min(0.5, 0.02 * noise(node, from) * factor);
  return { value: metric.name === 'zero_fraction' && !high ? 0 : high ? 1 - small / 20 : small, flags };
}

export function planted(run: FakeRun, name: string, from: number, to: number): Plant[] {
  return run.plants.filter(
    ({ tensor, ...plant }) =>
      plant.from < to &&
      plant.to > from &&
      (name === '' || tensor === name || tensor.startsWith(name + '.')) &&
      (plant.flags !== 8 || tensor === name),
  );
}

export function transformer(blocks: number, width: number): FakeRun['tensors'] {
  const inBlock = (name: string) => [
    { name: `${name}.ln_1.weight`, shape: [width] },
    { name: `${name}.ln_1.bias`, shape: [width] },
    { name: `${name}.attn.qkv.weight`, shape: [3 * width, width] },
    { name: `${name}.attn.qkv.bias`, shape: [3 * width] },
    { name: `${name}.attn.proj.weight`, shape: [width, width] },
    { name: `${name}.attn.proj.bias`, shape: [width] },
    { name: `${name}.ln_2.weight`, shape: [width] },
    { name: `${name}.ln_2.bias`, shape: [width] },
    { name: `${name}.mlp.fc.weight`, shape: [4 * width, width] },
    { name: `${name}.mlp.fc.bias`, shape: [4 * width] },
    { name: `${name}.mlp.proj.weight`, shape: [width, 4 * width] },
    { name: `${name}.mlp.proj.bias`, shape: [width] },
  ];
  return [
    { name: 'embed.tokens', shape: [50_257, width] },
    { name: 'embed.positions', shape: [1_024, width] },
    ...Array.from({ length: blocks }, (_, i) => inBlock(`blocks.${i}`)).flat(),
    { name: 'head.norm.weight', shape: [width] },
    { name: 'head.frozen', shape: [width] },
    { name: 'head.weight', shape: [50_257, width] },
  ];
}

import type { Meta, Nodes, Run, Stream } from '../../src/contract.ts';

/** Nodes by name and parent: one without children is a tensor. */
export function nodesFrom(names: readonly string[], parents: readonly number[]): Nodes {
  const folders = new Set(parents);
  const isTensor = names.map((_, i) => i > 0 && !folders.has(i));
  return {
    name: [...names],
    kind: isTensor.map((tensor, i) => (i === 0 ? 'total' : tensor ? 'tensor' : 'module')),
    parent: [...parents],
    shape: isTensor.map((tensor) => (tensor ? [4, 4] : null)),
    dtype: isTensor.map((tensor) => (tensor ? 'float32' : null)),
    size: names.map(() => 16),
    aliases: names.map(() => []),
  };
}

export const GRADIENTS: Stream = {
  name: 'gradients',
  label: 'Gradients (applied)',
  what: 'gradient',
  sampled: false,
  histogram: false,
};

export const WEIGHTS: Stream = {
  name: 'weights',
  label: 'Weights',
  what: 'weight',
  sampled: true,
  histogram: false,
};

export function metaOf(changes: Partial<Meta> = {}): Meta {
  return {
    run: 'exp1/gradhealth',
    label: 'exp1',
    revision: 1,
    problem: null,
    steps: [0, 5_000],
    cell: 10,
    levels: 1,
    overview: false,
    streams: [GRADIENTS],
    stream: 'gradients',
    metrics: [
      {
        name: 'norm',
        label: 'Norm',
        unit: 'L2',
        kind: 'magnitude',
        scale: 'log',
        meaning: 'L2 norm',
        group: 'Size',
      },
      {
        name: 'mean',
        label: 'Mean',
        unit: 'per element',
        kind: 'signed',
        scale: 'linear',
        meaning: 'mean',
        group: 'Distribution',
      },
    ],
    views: [
      { name: 'max', label: 'max over steps' },
      { name: 'worst', label: 'worst tensor inside' },
    ],
    nodes: nodesFrom(['', 'a', 'b', 'a.weight', 'a.bias', 'b.weight'], [-1, 0, 0, 1, 1, 2]),
    sessions: [{ id: '00', start: 0, stop: 5_000, wall_time: 1 }],
    ...changes,
  };
}

export function runOf(changes: Partial<Run> = {}): Run {
  return { name: 'exp1/gradhealth', label: 'exp1', status: 'ok', problem: null, revision: 1, ...changes };
}

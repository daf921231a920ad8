import type { Stream } from '../src/contract.ts';
import type { FakeRun } from './fake_run.ts';

export const STREAMS: readonly Stream[] = [
  { name: 'gradients', label: 'Gradients (applied)', what: 'gradient', sampled: false, histogram: false },
  { name: 'activations', label: 'Activations', what: 'activation', sampled: true, histogram: false },
];

const observed = new WeakMap<FakeRun['tensors'], FakeRun['tensors']>();

/** What the modules with a matrix of weights give: other tensors than those of the model. */
function activationsOf(tensors: FakeRun['tensors']): FakeRun['tensors'] {
  const found =
    observed.get(tensors) ??
    tensors
      .filter(({ name, shape }) => name.endsWith('.weight') && shape.length === 2)
      .map(({ name, shape }) => ({ name: name.slice(0, -'.weight'.length), shape: [32, shape[0] ?? 1] }));
  observed.set(tensors, found);
  return found;
}

/** A run as one of its streams has it; all others than the activations are the gradients. */
export function ofStream(run: FakeRun, stream: string | null): FakeRun {
  return stream === 'activations'
    ? { ...run, tensors: activationsOf(run.tensors), plants: [], sampled: true }
    : run;
}

/** Steps of [from, to) that were looked at: of a sampled stream one in each row. */
export function seenIn(run: FakeRun, from: number, to: number): number {
  return run.sampled === true ? Math.ceil((to - from) / run.cell) : to - from;
}

import type { Overview } from '../src/contract.ts';
import { cellsOf, edgesOf, figure } from './fake_cells.ts';
import { type FakeRun, METRICS, notesOf, valueOf } from './fake_run.ts';

export function lossAt(step: number): number {
  return 2.2 + 8 * Math.exp(-step / 3_000) + 0.1 * Math.sin(step / 170);
}

/** Warm-up, then a slow decay. */
export function rateAt(step: number): number {
  return 3e-4 * Math.min(1, (step + 1) / 500) * Math.exp(-step / 40_000);
}

/** Norm, loss, learning rate and skipped steps of the whole training, as http_api.md has it. */
export function overviewOf(run: FakeRun, query: URLSearchParams, steps: number): Overview {
  const [begin = 0, end = 0, most = 1] = ['begin', 'end', 'cells'].map((key) => Number(query.get(key)));
  const edges = edgesOf(run, begin, Math.min(end, steps), most);
  const cells = cellsOf(edges);
  const [norm] = METRICS;
  if (norm === undefined) throw new Error('expected a norm');
  const normBand = (view: string) =>
    cells.map(([from, to]) => figure(valueOf(run, norm, view, 0, '', from, to).value));
  const logged = (at: (step: number) => number) => {
    const values = cells.map(([from]) => at(from));
    return { mean: values, min: values, max: values };
  };
  const { notes } = notesOf(steps, begin, end);
  const skippedAt = notes.map(({ step }) => step);
  const bands = { mean: normBand('mean'), min: normBand('min'), max: normBand('max') };
  return {
    edges,
    series: [
      { name: 'gradients', label: 'Gradient norm (applied)', kind: 'norm', ...bands },
      { name: 'loss', label: 'loss', kind: 'loss', ...logged(lossAt) },
      { name: 'lr', label: 'lr', kind: 'rate', ...logged(rateAt) },
    ],
    skipped: cells.map(([from, to]) => skippedAt.filter((step) => step >= from && step < to).length),
  };
}

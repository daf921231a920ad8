import type { Lines } from '../src/contract.ts';
import { cellsOf, edgesOf, figure, flagsIn } from './fake_cells.ts';
import { type FakeRun, METRICS, nodesOf, valueOf } from './fake_run.ts';

/** Mean, min and max of some nodes over steps, as http_api.md has it. */
export function linesOf(run: FakeRun, query: URLSearchParams): Lines {
  const [begin, end, cells] = ['begin', 'end', 'cells'].map((key) => Number(query.get(key)));
  const metric = METRICS.find(({ name }) => name === query.get('metric'));
  if (metric === undefined) throw new Error(`no metric ${query.get('metric') ?? ''}`);
  const edges = edgesOf(run, begin ?? 0, end ?? 0, cells ?? 1);
  const names = nodesOf(run.tensors).name;
  const lines = (query.get('nodes') ?? '').split(',').map((text) => {
    const node = Number(text);
    const name = names[node] ?? '';
    const band = (view: string) =>
      cellsOf(edges).map(([from, to]) => figure(valueOf(run, metric, view, node, name, from, to).value));
    const flags = cellsOf(edges).map(([from, to]) => flagsIn(run, name, from, to));
    return { node, mean: band('mean'), min: band('min'), max: band('max'), flags };
  });
  return { edges, lines };
}

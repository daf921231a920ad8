import { cellsOf, edgesOf, figure, flagsIn } from './fake_cells.ts';
import { type FakeRun, METRICS, nodesOf, valueOf } from './fake_run.ts';

/** The view as a CSV file, as http_api.md has it. */
export function csvOf(run: FakeRun, query: URLSearchParams, steps: number): string {
  const [begin = 0, end = 0, most = 1] = ['begin', 'end', 'cells'].map((key) => Number(query.get(key)));
  const [metric, view] = [METRICS.find(({ name }) => name === query.get('metric')), query.get('view') ?? ''];
  if (metric === undefined) throw new Error(`no metric ${query.get('metric') ?? ''}`);
  const names = nodesOf(run.tensors).name;
  const nodes = query.get('nodes')?.split(',').map(Number) ?? [...names.keys()];
  const cells = cellsOf(edgesOf(run, begin, Math.min(end, steps), most));
  const lines = nodes.flatMap((node) => {
    const name = names[node] ?? '';
    return cells.map(([from, to]) => {
      const value = figure(valueOf(run, metric, view, node, name, from, to).value) ?? '';
      return [quoted(name), from, to, value, flagsIn(run, name, from, to)].join(',');
    });
  });
  return ['node,begin,end,value,flags', ...lines, ''].join('\r\n');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

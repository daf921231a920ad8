import { cellsOf, edgesOf, figure, flagsIn } from './fake_cells.ts';
import { type FakeRun, METRICS, nodesOf, planted, valueOf } from './fake_run.ts';
import { seenIn } from './fake_streams.ts';
import { lossAt, rateAt } from './fake_overview.ts';

const MOST_ROWS = 200;

/** The finest rows that touch some steps, as http_api.md has it. */
export function rowsOf(run: FakeRun, query: URLSearchParams, steps: number): object {
  const [node = 0, begin = 0, end = 0] = ['node', 'begin', 'end'].map((key) => Number(query.get(key)));
  const nodes = nodesOf(run.tensors);
  const [name, size] = [nodes.name[node] ?? '', nodes.size[node] ?? 0];
  const all = cellsOf(edgesOf(run, begin, Math.min(end, steps), Number.POSITIVE_INFINITY));
  const rows = all.slice(0, MOST_ROWS).map(([from, stop]) => {
    const to = Math.min(stop, steps);
    const [flags, seen] = [flagsIn(run, name, from, to), seenIn(run, from, to)];
    const bad = planted(run, name, from, to).filter((one) => (one.flags & 7) !== 0);
    const spread = (at: (view: string) => number) => ({
      mean: figure(at('mean')),
      min: figure(at('min')),
      max: figure(at('max')),
    });
    return {
      ...{ steps: [from, to], recorded: seen, with_data: (flags & 8) === 0 ? seen : 0 },
      first_bad: bad.length === 0 ? null : Math.max(from, Math.min(...bad.map((one) => one.from))),
      counts: { count: size * (to - from), zero: 0, near_zero: 3, nan: bad.length },
      metrics: Object.fromEntries(
        METRICS.map((metric) => [
          metric.name,
          spread((view) => valueOf(run, metric, view, node, name, from, to).value),
        ]),
      ),
      logged: { loss: spread(() => lossAt(from)), lr: spread(() => rateAt(from)) },
    };
  });
  return { rows, complete: all.length <= MOST_ROWS };
}

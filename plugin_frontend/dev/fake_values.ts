import type { NodeValues } from '../src/contract.ts';
import { type FakeRun, METRICS, nodesOf, valueOf } from './fake_run.ts';

/** One figure of each node over the steps [begin, end), as http_api.md has it. */
export function valuesOf(run: FakeRun, query: URLSearchParams): NodeValues {
  const [begin, end] = [Number(query.get('begin')), Number(query.get('end'))];
  const metric = METRICS.find(({ name }) => name === query.get('metric'));
  if (metric === undefined) throw new Error(`no metric ${query.get('metric') ?? ''}`);
  const values = nodesOf(run.tensors).name.map((name, node) => {
    const { value } = valueOf(run, metric, query.get('view') ?? '', node, name, begin, end);
    return Number.isNaN(value) ? null : value;
  });
  return { steps: [begin, end], values };
}

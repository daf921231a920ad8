import type { Alert, Alerts } from '../src/contract.ts';
import { type FakeRun, type Plant, nodesOf } from './fake_run.ts';

const LONG = 100;

const KINDS: Record<number, { kind: string; severity: Alert['severity']; says: string }> = {
  0: { kind: 'spike', severity: 'notice', says: 'The norm jumped in' },
  1: { kind: 'nan', severity: 'critical', says: 'NaN in' },
  2: { kind: 'pos_inf', severity: 'critical', says: '+Inf in' },
  4: { kind: 'neg_inf', severity: 'critical', says: '−Inf in' },
  8: { kind: 'no_gradient', severity: 'warning', says: 'No gradient reached' },
};

/** What is planted, the gravest first, as http_api.md has it. */
export function alertsOf(run: FakeRun, steps: number): Alerts {
  const grave = ['critical', 'warning', 'notice'];
  const alerts = run.plants.filter(({ from }) => from < steps).map((plant) => alertOf(run, plant, steps));
  alerts.sort((a, b) => grave.indexOf(a.severity) - grave.indexOf(b.severity) || a.steps[0] - b.steps[0]);
  return { alerts, complete: true };
}

function alertOf(run: FakeRun, plant: Plant, steps: number): Alert {
  const { kind, severity, says } = KINDS[plant.flags] ?? {
    kind: 'other',
    severity: 'notice',
    says: 'Look at',
  };
  const node = Math.max(0, nodesOf(run.tensors).name.indexOf(plant.tensor));
  const begin = Math.floor(plant.from / run.cell) * run.cell;
  const end = Math.min(steps, Math.ceil(plant.to / run.cell) * run.cell);
  return {
    ...{ id: `${kind}:${node}:${begin}`, kind, node, steps: [begin, end], metric: 'norm', value: null },
    severity: kind === 'no_gradient' && end - begin < LONG ? 'notice' : severity,
    text: `${says} ${plant.tensor} from step ${plant.from} on`,
  };
}

import type { Alert } from '../../src/contract.ts';

export function alertOf(changes: Partial<Alert> = {}): Alert {
  return {
    id: 'nan:3:130',
    severity: 'critical',
    kind: 'nan',
    node: 3,
    steps: [130, 140],
    metric: 'norm',
    value: null,
    text: 'NaN in a.weight, first at step 137',
    ...changes,
  };
}

import type { Alert } from '../../src/contract.ts';
import { buildTree } from '../../src/model.ts';
import { metaOf } from './meta.ts';

/** Of the run that these alerts were found in. */
export const foundIn = buildTree(metaOf().nodes);

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

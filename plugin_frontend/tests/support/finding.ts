import { type Finding, parseFindings } from '../../src/contract.ts';

/** The contract's own example. */
export const EXAMPLE = {
  findings: [
    {
      ...{ id: 'nonfinite:a.weight:130', severity: 'critical', type: 'NUMERICAL', rule: 'nonfinite' },
      ...{
        name: 'a.weight',
        node: 3,
        steps: [130, 140],
        detected: 131,
        evidence: ['loss: 31.2 (reference 2.31)'],
      },
      ...{ causes: ['the learning rate', 'the data'], actions: ['halve it'], innocent: 'never', follows: '' },
      text: 'NUMERICAL in a.weight, steps 130 to 139, seen at step 131: a value that is not finite was used',
    },
  ],
  recorded: true,
  revision: 17,
};

export function findingOf(changes: Partial<Finding> = {}): Finding {
  const [example] = parseFindings(EXAMPLE).findings;
  if (example === undefined) throw new Error('expected an example');
  return { ...example, ...changes };
}

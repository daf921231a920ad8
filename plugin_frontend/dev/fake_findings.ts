import type { Finding, Findings } from '../src/contract.ts';
import { type FakeRun, nodesOf } from './fake_run.ts';

/** A run's invented diagnosis: `planted` is explained by the learning rate, `hostile` has whatever a file may hold. */
export type Diagnosis = 'planted' | 'healthy' | 'hostile' | 'none';

const HOSTILE = `<img src=x onerror="alert(1)"></bdi><script>alert(1)</script>\u202eevil ${'long'.repeat(500)}`;

/** What the diagnosis found by then, worst first, as http_api.md has it. */
export function findingsOf(run: FakeRun, diagnosis: Diagnosis, steps: number): Findings {
  const revision = 1 + Math.floor(steps / run.cell);
  if (diagnosis === 'none') return { findings: [], recorded: false, revision };
  const found = diagnosis === 'planted' ? PLANTED : diagnosis === 'hostile' ? UNTRUSTED : [];
  const findings = found.map((one): Finding => {
    const node = nodesOf(run.tensors).name.indexOf(one.name);
    const [steps, where] = [`steps ${one.steps[0]} to ${one.steps[1] - 1}`, one.name || 'the whole model'];
    const about = `${one.type} in ${where}, ${steps}, seen at step ${one.detected}`;
    const text = `${about}: ${one.text}: ${one.evidence.join('; ')}`;
    return { ...one, text, node: node < 0 ? null : node, id: `${one.rule}:${one.name}:${one.severity}` };
  });
  return { findings: findings.filter(({ detected }) => detected < steps), recorded: true, revision };
}

const PLANTED: readonly Omit<Finding, 'id' | 'node'>[] = [
  {
    ...{ severity: 'critical', type: 'EXPLODING', rule: 'norm_and_loss', name: '', follows: '' },
    ...{ steps: [7_640, 7_810], detected: 7_652 },
    text: 'gradients, weights or the loss grow out of proportion',
    evidence: ['loss: 31.2 (reference 2.31)', 'global norm: 184 (reference 3.1)'],
    causes: ['the learning rate is too large', 'a batch with wrong labels', 'no warm-up'],
    actions: ['halve the learning rate', 'clip the global norm to 1', 'look at the batch of step 7,640'],
    innocent: 'The norm rises and comes back at the peak of a one-cycle schedule.',
  },
  {
    ...{ severity: 'critical', type: 'NUMERICAL', rule: 'nonfinite', name: 'blocks.4.attn.qkv.bias' },
    ...{ steps: [7_770, 7_780], detected: 7_777, follows: 'norm_and_loss' },
    text: 'a value that is not finite was used',
    evidence: ['1 element that is NaN'],
    causes: ['an overflow in the attention scores'],
    actions: ['compute the scores in float32'],
    innocent: 'None: the step was made.',
  },
  {
    ...{ severity: 'high', type: 'STALLED_COMPONENT', rule: 'no_gradient', name: 'head.weight', follows: '' },
    ...{ steps: [0, 3_000], detected: 100 },
    text: 'a part of the model does not learn',
    evidence: ['0 of 3,000 steps with a gradient'],
    causes: ['.detach() or no_grad() on the way to the loss', 'the loss does not use its output'],
    actions: [
      'see whether the loss depends on it',
      'set requires_grad to False where it is frozen on purpose',
    ],
    innocent: 'A head that another task trains later.',
  },
  {
    ...{ severity: 'medium', type: 'SATURATED', rule: 'saturated', name: 'blocks.7.mlp.gelu', follows: '' },
    ...{ steps: [11_900, 12_200], detected: 11_960 },
    text: 'activation functions are driven to where they have no slope',
    evidence: ['share beyond 3: 0.61 (reference 0.08)'],
    causes: ['weights in front of it have grown'],
    actions: ['put a LayerNorm in front of it'],
    innocent: 'Gates of a trained model may be driven to their ends.',
  },
  {
    ...{ severity: 'low', type: 'PLATEAU', rule: 'plateau', name: '', follows: '' },
    ...{ steps: [15_000, 19_000], detected: 16_000 },
    text: 'the loss no longer falls',
    evidence: ['val_loss 1.871 (reference 1.869)'],
    causes: ['the learning rate is too small by now'],
    actions: ['end the training, or raise the rate'],
    innocent: 'The model has converged.',
  },
  {
    ...{
      severity: 'notice',
      type: 'DEAD',
      rule: 'gradient_zeros',
      name: 'blocks.2.ln_1.weight',
      follows: '',
    },
    ...{ steps: [4_000, 4_010], detected: 4_000 },
    text: 'units or gradients are constantly zero',
    evidence: ['zeros 11 % (reference 10 %)'],
    causes: ['units that are silent'],
    actions: ['none, unless the share grows'],
    innocent: 'Of healthy runs three in four cross this threshold.',
  },
];

const UNTRUSTED: readonly Omit<Finding, 'id' | 'node'>[] = (['critical', 'notice'] as const).map(
  (severity) => ({
    ...{ severity, type: HOSTILE, rule: HOSTILE, name: HOSTILE, follows: '', steps: [10, 20], detected: 11 },
    ...{
      text: HOSTILE,
      evidence: [HOSTILE],
      causes: [HOSTILE, HOSTILE],
      actions: [HOSTILE],
      innocent: HOSTILE,
    },
  }),
);

import type { Severity } from '../contract.ts';

/** The gravest first: the order in which they are listed, and which of several a mark shows. */
export const SEVERITIES: readonly Severity[] = ['critical', 'warning', 'notice'];

/** Each severity in words, and as a shape in a square of side 10, so that it is never told by its colour alone. */
export const LOOKS: Record<Severity, { word: string; plural: string; shape: string; fill: string }> = {
  critical: { word: 'Critical', plural: 'critical', shape: 'M5 0.5L10 9.5H0Z', fill: '#ff6257' },
  warning: { word: 'Warning', plural: 'warnings', shape: 'M5 0L10 5L5 10L0 5Z', fill: '#ffb300' },
  notice: {
    word: 'Notice',
    plural: 'notices',
    shape: 'M9 5A4 4 0 1 1 1 5A4 4 0 1 1 9 5Z',
    fill: '#6cb2ff',
  },
};

/** What the backend looks for; a kind that is not in this table is shown by its sentence all the same. */
export const KINDS: readonly { kind: string; label: string; meaning: string }[] = [
  { kind: 'nan', label: 'NaN', meaning: 'elements that are no number' },
  { kind: 'pos_inf', label: '+Inf', meaning: 'elements that overflowed upwards' },
  { kind: 'neg_inf', label: '−Inf', meaning: 'elements that overflowed downwards' },
  { kind: 'no_gradient', label: 'No gradient', meaning: 'a tensor that no gradient reached for a while' },
  {
    kind: 'near_zero',
    label: 'Near zero',
    meaning: 'a gradient of which nearly every element is too small to matter',
  },
  { kind: 'saturated', label: 'Saturated', meaning: 'elements about to overflow their type' },
  { kind: 'spike', label: 'Spike', meaning: 'a norm many times its median over the run' },
  {
    kind: 'gaps',
    label: 'Gaps',
    meaning: 'a tensor that a gradient reached in some steps and not in others',
  },
];

/** Kinds whose cells have a colour and a sign of their own, whatever metric is shown. */
export const SIGNED_KINDS: ReadonlySet<string> = new Set(['nan', 'pos_inf', 'neg_inf']);

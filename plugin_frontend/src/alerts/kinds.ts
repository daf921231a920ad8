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

/** Kinds whose cells have a colour and a sign of their own, whatever metric is shown. */
export const SIGNED_KINDS: ReadonlySet<string> = new Set(['nan', 'pos_inf', 'neg_inf']);

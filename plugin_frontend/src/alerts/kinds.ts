import type { Finding, Severity } from '../contract.ts';

/** The gravest first: the order in which they are listed, and which of several a mark shows. */
export const SEVERITIES: readonly Severity[] = ['critical', 'warning', 'notice'];

/** How grave something is that was found, by the alerts or by the diagnosis. */
export type Grade = Severity | Finding['severity'];

/** All of them, the gravest first. */
export const GRADES: readonly Grade[] = ['critical', 'high', 'warning', 'medium', 'low', 'notice'];

/** What is marked on the heatmap and gone to: an alert, or a finding of the diagnosis. */
export interface Spot {
  readonly id: string;
  readonly severity: Grade;
  readonly node: number;
  readonly steps: readonly [number, number];
  readonly text: string;
  /** Of an alert alone. */
  readonly kind?: string;
  readonly metric?: string;
}

/** Each grade in words, and as a shape in a square of side 10, so that it is never told by its colour alone. */
export const LOOKS: Record<Grade, { word: string; shape: string; fill: string }> = {
  critical: { word: 'Critical', shape: 'M5 0.5L10 9.5H0Z', fill: '#ff6257' },
  high: { word: 'High', shape: 'M0.5 0.5H9.5V6L5 10L0.5 6Z', fill: '#ff8a3d' },
  warning: { word: 'Warning', shape: 'M5 0L10 5L5 10L0 5Z', fill: '#ffb300' },
  medium: { word: 'Medium', shape: 'M1 1H9V9H1Z', fill: '#ffd24d' },
  low: { word: 'Low', shape: 'M0.5 3H9.5V7H0.5Z', fill: '#c8ccd2' },
  notice: { word: 'Notice', shape: 'M9 5A4 4 0 1 1 1 5A4 4 0 1 1 9 5Z', fill: '#6cb2ff' },
};

/** Kinds whose cells have a colour and a sign of their own, whatever metric is shown. */
export const SIGNED_KINDS: ReadonlySet<string> = new Set(['nan', 'pos_inf', 'neg_inf']);

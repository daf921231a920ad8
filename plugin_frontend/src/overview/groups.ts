import type { Overview, Series } from '../contract.ts';
import { type Band, cellOfStep } from '../lines/bands.ts';
import { type ValueScale, valueScale } from '../lines/value_scale.ts';

/** Figures that share a sparkline, since they have one unit. */
export interface Group {
  readonly label: string;
  readonly kind: Series['kind'];
  readonly series: readonly Series[];
}

const LABELS: Record<Series['kind'], string> = {
  norm: 'Gradient norm',
  loss: 'Loss',
  rate: 'Learning rate',
  other: 'Logged',
};

/** One group for each kind; other figures have units of their own, and so a group each. */
export function groupsOf(series: readonly Series[]): Group[] {
  const kinds = (['norm', 'loss', 'rate'] as const).flatMap((kind): Group[] => {
    const those = series.filter((one) => one.kind === kind);
    const label = those.length === 1 && kind !== 'norm' ? (those[0]?.label ?? '') : LABELS[kind];
    return those.length === 0 ? [] : [{ label, kind, series: those }];
  });
  const others = series.filter(({ kind }) => kind === 'other');
  return [...kinds, ...others.map((one): Group => ({ label: one.label, kind: 'other', series: [one] }))];
}

/** Norms differ by decades; what the loop logged is shown as it is. */
export function scaleOf({ kind, series }: Group): ValueScale {
  return valueScale(kind === 'norm' ? 'log' : 'linear', false, series);
}

/** Mean, min and max at a step; without one, those of the last cell that has any. */
export function figuresAt(edges: readonly number[], band: Band, step: number | null) {
  const cell = step === null ? band.mean.findLastIndex((value) => value !== null) : cellOfStep(edges, step);
  if (cell === null || cell < 0) return null;
  return { mean: band.mean[cell] ?? null, min: band.min[cell] ?? null, max: band.max[cell] ?? null };
}

/** Skipped steps in view, and those in the cell of a step. */
export function skippedAt(
  { edges, skipped }: Overview,
  step: number | null,
): { inView: number; here: number } {
  const cell = step === null ? null : cellOfStep(edges, step);
  return { inView: skipped.reduce((sum, count) => sum + count, 0), here: skipped[cell ?? -1] ?? 0 };
}

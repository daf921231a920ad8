import type { Kind } from './contract.ts';

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export function formatCount(value: number): string {
  return grouped.format(value);
}

export function plural(count: number, one: string, many = one + 's'): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** A figure with `digits` significant digits; very small and very large ones with a power of ten. */
export function formatValue(value: number, kind: Kind = 'magnitude', digits = 4): string {
  if (Number.isNaN(value)) return 'no data';
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const size = Math.abs(value);
  // Just below 1, four digits would round a fraction to 1, which is another finding.
  if (kind === 'fraction' && size > 0.9995 && size < 1) return `1 − ${formatValue(1 - size, 'magnitude', 2)}`;
  const rounded = Number(value.toPrecision(digits));
  if (kind === 'count' && Number.isInteger(value)) return formatCount(digits < 4 ? rounded : value);
  return size >= 1e-3 && size < 1e5 ? String(rounded) : exponential(value, digits);
}

function exponential(value: number, digits: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(digits - 1).split('e');
  return `${String(Number(mantissa))}e${exponent.replace('+', '')}`;
}

/** Steps [first, end) as people count them, both ends included. */
export function formatSteps(first: number, end: number): string {
  if (end - first <= 1) return `step ${formatCount(first)}`;
  return `steps ${formatCount(first)}–${formatCount(end - 1)}`;
}

export function px(cssPx: number): string {
  return `${cssPx}px`;
}

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

/** A figure of which only the size is known: whole where it is whole. */
export function formatAmount(value: number | null): string {
  if (value === null) return 'no data';
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? formatCount(value) : formatValue(value);
}

/** Keeps both ends of a long name, as names tend to differ in either. */
export function shortened(name: string, characters: number): string {
  if (name.length <= characters) return name === '' ? '(no name)' : name;
  const half = characters / 2 - 1;
  return `${name.slice(0, half)}…${name.slice(-half)}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Seconds since 1970 as "21 Nov, 10:02" where the browser is; null where that is no date. */
export function formatMoment(seconds: number | null): string | null {
  const date = new Date((seconds ?? Number.NaN) * 1000);
  if (Number.isNaN(date.getTime())) return null;
  const [hours, minutes] = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0'));
  return `${date.getDate()} ${MONTHS[date.getMonth()] ?? ''}, ${hours ?? ''}:${minutes ?? ''}`;
}

export function px(cssPx: number): string {
  return `${cssPx}px`;
}

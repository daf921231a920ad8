import type { Kind, Metric, Row, Stream } from '../contract.ts';
import { formatCount, formatSteps, formatValue } from '../format.ts';

/** One line of the table; `exact` are the cells in full precision. */
export interface TableLine {
  readonly label: string;
  readonly unit: string;
  readonly cells: readonly string[];
  readonly exact: readonly string[];
  readonly bad: boolean;
}

export interface Section {
  readonly title: string;
  /** Heads of the columns after the first. */
  readonly heads: readonly string[];
  readonly lines: readonly TableLine[];
}

const SPREAD = ['mean', 'min', 'max'] as const;
const COUNT_LABELS = new Map([
  ['count', 'elements'],
  ['nan', 'NaN'],
  ['pos_inf', '+Inf'],
  ['neg_inf', '-Inf'],
]);
const BAD_COUNTS = new Set(['nan', 'pos_inf', 'neg_inf']);

/** All that is known of a node in one row, as the sections of a table. */
export function sectionsOf(
  row: Row,
  metrics: readonly Metric[],
  { what, sampled }: Pick<Stream, 'what' | 'sampled'>,
): Section[] {
  const order = new Map(metrics.map(({ name }, i) => [name, i]));
  const names = [...row.metrics.keys()].sort(
    (a, b) => (order.get(a) ?? metrics.length) - (order.get(b) ?? metrics.length),
  );
  return [
    {
      title: 'Metrics',
      heads: [...SPREAD],
      lines: names.map((name) => {
        const metric = metrics[order.get(name) ?? -1];
        return spreadLine(metric?.label ?? name, metric?.unit ?? '', row.metrics.get(name), metric?.kind);
      }),
    },
    {
      title: 'Logged',
      heads: [...SPREAD],
      lines: [...row.logged].map(([name, spread]) => spreadLine(name, '', spread)),
    },
    {
      title: 'Counts',
      heads: ['over the row'],
      lines: [...row.counts].map(([name, count]) =>
        plainLine(
          COUNT_LABELS.get(name) ?? name.replaceAll('_', ' '),
          formatCount(count),
          count,
          BAD_COUNTS.has(name) && count > 0,
        ),
      ),
    },
    {
      title: 'Steps',
      heads: ['of this row'],
      lines: [
        plainLine('covered', formatSteps(...row.steps), row.steps.join('–')),
        plainLine(sampled ? 'sampled' : 'recorded', formatCount(row.recorded), row.recorded),
        plainLine(`with ${what}`, formatCount(row.with_data), row.with_data),
        row.first_bad === null
          ? plainLine('first NaN or Inf', 'none', '')
          : plainLine('first NaN or Inf', `step ${formatCount(row.first_bad)}`, row.first_bad, true),
      ],
    },
  ].filter(({ lines }) => lines.length > 0);
}

type Spread = Record<(typeof SPREAD)[number], number | null>;

function spreadLine(label: string, unit: string, spread: Spread | undefined, kind?: Kind): TableLine {
  const values = SPREAD.map((name) => spread?.[name] ?? null);
  return {
    label,
    unit,
    cells: values.map((value) => wordOf(value, kind)),
    exact: values.map((value) => (value === null ? '' : String(value))),
    bad: values.some((value) => value !== null && !Number.isFinite(value)),
  };
}

/** A figure that came as NaN was recorded as that: it is not the same as none. */
function wordOf(value: number | null, kind?: Kind): string {
  if (value === null) return '–';
  return Number.isNaN(value) ? 'NaN' : formatValue(value, kind);
}

function plainLine(label: string, cell: string, exact: number | string, bad = false): TableLine {
  return { label, unit: '', cells: [cell], exact: [String(exact)], bad };
}

/** The table as tab-separated values in full precision. */
export function tsvOf(path: string, sections: readonly Section[]): string {
  const lines = sections.flatMap(({ title, heads, lines }) => [
    [title, 'unit', ...heads],
    ...lines.map(({ label, unit, exact }) => [label, unit, ...exact]),
  ]);
  return [[path], ...lines].map((fields) => fields.map(field).join('\t') + '\n').join('');
}

/** Names come from files: one must not break the table, nor be a formula in the spreadsheet it is pasted into. */
function field(text: string): string {
  // eslint-disable-next-line no-control-regex
  const line = text.replaceAll(/[\u0000-\u001f\u007f]/g, ' ');
  return /^[=+@-]/.test(line) && !Number.isFinite(Number(line)) && !/^[+-]Inf/.test(line) ? `'${line}` : line;
}

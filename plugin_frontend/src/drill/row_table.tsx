import { useRef, useState } from 'preact/hooks';
import type { Metric, Row, Rows } from '../contract.ts';
import { formatCount, formatSteps, plural, shortened } from '../format.ts';
import type { Store } from '../store.ts';
import type { Drill } from './drill.ts';
import type { KnownRows, RowFeed } from './row_feed.ts';
import { type Section, sectionsOf, tsvOf } from './row_text.ts';

const NAME_CHARACTERS = 120;

interface Props {
  store: Store;
  drill: Drill;
  feed: RowFeed;
}

/** The cursor's cell in exact figures: one of its finest rows at a time, as a table. */
export function RowTable({ store, drill, feed }: Props) {
  const known = feed.rows.value;
  if (known === null)
    return <p class="quiet row-note">{drill.cell.value === null ? noCell(drill) : 'Loading the row…'}</p>;
  if (known.rows.rows.length === 0) return <p class="quiet row-note">Nothing was recorded in these steps.</p>;
  const key = [known.run, known.cell.key, ...known.cell.steps].join('\n');
  const metrics = drill.subject.value.meta.value?.metrics ?? [];
  return <Pages key={key} store={store} known={known} metrics={metrics} />;
}

function noCell(drill: Drill): string {
  const inB = drill.second.value && drill.beside.value !== null;
  return inB ? 'Run B has no such tensor or steps.' : 'The cursor is on no cell.';
}

/** Where there is a NaN or Inf, that is what the cell was opened for. */
function firstPage({ rows }: Rows): number {
  return Math.max(
    0,
    rows.findIndex((row) => row.first_bad !== null),
  );
}

interface PagesProps {
  store: Store;
  known: KnownRows;
  metrics: readonly Metric[];
}

function Pages({ store, known, metrics }: PagesProps) {
  const { rows, cell } = known;
  const [chosen, choose] = useState(() => firstPage(rows));
  const page = Math.min(chosen, rows.rows.length - 1);
  const row = rows.rows[page];
  if (row === undefined) return null;
  return (
    <>
      {rows.rows.length > 1 && (
        <div class="pager" role="group" aria-label="Rows of this cell">
          <PageButton label="Previous row" sign="‹" to={page - 1} of={rows.rows.length} choose={choose} />
          <span data-testid="page" aria-live="polite">
            row {formatCount(page + 1)} of {rows.complete ? '' : 'the first '}
            {formatCount(rows.rows.length)}
          </span>
          <PageButton label="Next row" sign="›" to={page + 1} of={rows.rows.length} choose={choose} />
          <button
            type="button"
            title={`Show only ${formatSteps(...cell.steps)}`}
            onClick={() => {
              store.zoomTo({ start: cell.steps[0], end: cell.steps[1] });
            }}
          >
            Zoom to cell
          </button>
        </div>
      )}
      <Table store={store} metrics={metrics} cellKey={cell.key} row={row} />
    </>
  );
}

interface PageButtonProps {
  label: string;
  sign: string;
  to: number;
  of: number;
  choose: (page: number) => void;
}

function PageButton({ label, sign, to, of, choose }: PageButtonProps) {
  return (
    <button
      type="button"
      class="icon"
      aria-label={label}
      title={label}
      data-testid={label === 'Next row' ? 'next-row' : 'previous-row'}
      aria-disabled={to < 0 || to >= of}
      onClick={() => {
        choose(Math.min(of - 1, Math.max(0, to)));
      }}
    >
      {sign}
    </button>
  );
}

interface TableProps {
  store: Store;
  metrics: readonly Metric[];
  cellKey: string;
  row: Row;
}

function Table({ store, metrics, cellKey, row }: TableProps) {
  const table = useRef<HTMLTableElement>(null);
  const [said, say] = useState('');
  const path = cellKey.slice(cellKey.indexOf(':') + 1) || 'All tensors';
  const sampled = store.stream.value?.sampled === true;
  const sections = sectionsOf(row, metrics, { what: store.what.value, sampled });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(tsvOf(`${path}, ${formatSteps(...row.steps)}`, sections));
      say('Copied');
    } catch {
      // Over plain http the browser offers no clipboard; a selected table is copied with tabs as well.
      if (table.current !== null) window.getSelection()?.selectAllChildren(table.current);
      say('Selected: press Ctrl+C');
    }
  };
  return (
    <>
      <div class="row-head">
        <b>{formatSteps(...row.steps)}</b>
        <span class="quiet">
          {plural(row.recorded, 'step')} {sampled ? 'sampled' : 'recorded'}
        </span>
        <button
          type="button"
          data-testid="copy-tsv"
          title="Copy this table as tab-separated values"
          onClick={() => void copy()}
        >
          Copy TSV
        </button>
        <span role="status" class="quiet">
          {said}
        </span>
      </div>
      <table class="row-table" data-testid="row-table" ref={table}>
        <caption class="visually-hidden">
          <bdi>{shortened(path, NAME_CHARACTERS)}</bdi>, {formatSteps(...row.steps)}
        </caption>
        {sections.map((section) => (
          <SectionBody key={section.title} section={section} />
        ))}
      </table>
    </>
  );
}

function SectionBody({ section: { title, heads, lines } }: { section: Section }) {
  const span = heads.length === 1 ? 3 : 1;
  return (
    <tbody>
      <tr class="heads">
        <th scope="col">{title}</th>
        {heads.map((head) => (
          <th key={head} scope="col" colSpan={span}>
            {head}
          </th>
        ))}
      </tr>
      {lines.map(({ label, unit, cells, exact, bad }) => (
        <tr key={label}>
          <th scope="row">
            <bdi>{shortened(label, NAME_CHARACTERS)}</bdi> {unit !== '' && <span class="quiet">{unit}</span>}
          </th>
          {cells.map((cell, i) => (
            <td key={i} colSpan={span} class={bad ? 'bad' : ''} title={exact[i]}>
              {cell}
            </td>
          ))}
        </tr>
      ))}
    </tbody>
  );
}

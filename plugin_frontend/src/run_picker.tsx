import { useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Run } from './contract.ts';
import { plural, px, shortened } from './format.ts';
import { LABEL_CHARACTERS, type Line, groupsOf, labelOf, linesOf, remarkOf } from './run_matching.ts';

const LINE_CSS_PX = 28;
const LIST_CSS_PX = 12 * LINE_CSS_PX;
const PAGE_LINES = 10;

/** Longest text of a browser's own tooltip. */
const TITLE_CHARACTERS = 500;

interface Props {
  label: string;
  testId: string;
  runs: readonly Run[];
  /** The run that is shown now, whether or not it is among the runs any more. */
  selected: string | null;
  choose: (name: string) => void;
  /** Takes the focus and opens when it appears. */
  eager?: boolean;
  leave?: () => void;
}

/** A combobox over the names of runs: typing narrows them down, and of thousands only those in view are in the page. */
export function RunPicker({ label, testId, runs, selected, choose, eager = false, leave }: Props) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  /** What has been typed; null while the list is closed. */
  const [query, setQuery] = useState<string | null>(null);
  const [wanted, setWanted] = useState<string | null>(null);
  const lines = useMemo(() => (query === null ? [] : linesOf(groupsOf(runs, query))), [runs, query]);
  const listed = useMemo(() => lines.flatMap((line) => ('run' in line ? [line.run] : [])), [lines]);
  const active = Math.max(
    0,
    listed.findIndex((run) => run.name === wanted),
  );
  const current = runs.find((run) => run.name === selected);
  // Before anything else happens: what somebody types right after asking for the picker is typed into it.
  useLayoutEffect(() => {
    if (eager) input.current?.focus();
  }, [eager]);

  const open = () => {
    setWanted(selected);
    setQuery('');
    input.current?.select();
  };
  const close = () => {
    setQuery(null);
  };
  const take = (run: Run | undefined) => {
    if (run === undefined) return;
    close();
    choose(run.name);
  };
  const goTo = (place: number) => {
    setWanted(listed[Math.min(listed.length - 1, Math.max(0, place))]?.name ?? null);
  };
  const key = (event: KeyboardEvent): boolean => {
    const moves: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: PAGE_LINES,
      PageUp: -PAGE_LINES,
    };
    const move = moves[event.key];
    if (query === null) {
      if (event.key === 'Escape') leave?.();
      else if (move !== undefined || event.key === 'Enter') open();
      else return false;
      return true;
    }
    if (move !== undefined) goTo(active + move);
    else if (event.key === 'Enter') take(listed[active]);
    else if (event.key === 'Escape') close();
    else return false;
    return true;
  };
  return (
    <span class="field picker">
      <label class="field">
        <span>{label}</span>
        <input
          ref={input}
          type="text"
          role="combobox"
          class="run-picker"
          aria-label={label}
          data-testid={testId}
          data-run={selected}
          aria-expanded={query !== null}
          aria-controls={`${id}list`}
          aria-autocomplete="list"
          aria-activedescendant={listed.length > 0 ? `${id}${active}` : undefined}
          autocomplete="off"
          spellcheck={false}
          placeholder={selected === null ? 'Choose a run' : 'Type a part of its name'}
          title={selected?.slice(0, TITLE_CHARACTERS)}
          value={query ?? shownName(selected, current)}
          onClick={() => {
            if (query === null) open();
          }}
          onFocus={(event) => {
            // What is typed next is a search, not a change of the name that stands there.
            event.currentTarget.select();
          }}
          onInput={(event) => {
            setWanted(null);
            setQuery(event.currentTarget.value);
          }}
          onKeyDown={(event) => {
            if (key(event)) event.preventDefault();
          }}
          onBlur={close}
        />
      </label>
      {query !== null && (
        <div class="picker-popup">
          <RunList
            id={id}
            label={label}
            lines={lines}
            count={listed.length}
            active={active}
            selected={selected}
            take={take}
          />
          <div class="picker-count" role="status" data-testid="run-count">
            {listed.length === runs.length
              ? plural(runs.length, 'run')
              : `${plural(listed.length, 'run')} of ${runs.length.toLocaleString('en-US')}`}
          </div>
        </div>
      )}
    </span>
  );
}

function shownName(selected: string | null, current: Run | undefined): string {
  if (selected === null) return '';
  return current === undefined ? `${shortened(selected, LABEL_CHARACTERS)} (gone)` : labelOf(current);
}

interface ListProps {
  id: string;
  label: string;
  lines: readonly Line[];
  count: number;
  active: number;
  selected: string | null;
  take: (run: Run) => void;
}

function RunList({ id, label, lines, count, active, selected, take }: ListProps) {
  const list = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState(0);
  const activeLine = lines.findIndex((line) => 'run' in line && line.place === active);
  useLayoutEffect(() => {
    const box = list.current;
    if (box === null) return;
    const [top, bottom] = [activeLine * LINE_CSS_PX, (activeLine + 1) * LINE_CSS_PX - LIST_CSS_PX];
    // The first run's heading comes into sight with it.
    if (activeLine === 1) box.scrollTop = 0;
    else if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop) box.scrollTop = bottom;
  }, [activeLine]);
  const first = Math.max(0, Math.floor(scroll / LINE_CSS_PX) - 2);
  const end = Math.min(lines.length, Math.ceil((scroll + LIST_CSS_PX) / LINE_CSS_PX) + 2);
  const inView = Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
  // A screen reader follows the active run, which must be in the page for that.
  if (activeLine >= 0 && (activeLine < first || activeLine >= end)) inView.push(activeLine);
  return (
    <div
      ref={list}
      id={`${id}list`}
      class="picker-list"
      role="listbox"
      aria-label={label}
      style={{ maxHeight: px(LIST_CSS_PX) }}
      onScroll={(event) => {
        setScroll(event.currentTarget.scrollTop);
      }}
      onMouseDown={(event) => {
        // The focus stays in the field, or its loss would close the list before the click.
        event.preventDefault();
      }}
    >
      <div role="presentation" class="picker-lines" style={{ height: px(lines.length * LINE_CSS_PX) }}>
        {inView.map((at) => {
          const [line, style] = [lines[at], { top: px(at * LINE_CSS_PX), height: px(LINE_CSS_PX) }];
          if (line === undefined) return null;
          if ('heading' in line)
            return (
              <div key={line.heading} class="picker-heading" role="presentation" style={style}>
                {line.heading}
              </div>
            );
          const { run, place } = line;
          return (
            <div
              key={`run ${run.name}`}
              id={`${id}${place}`}
              class={place === active ? 'picker-line active' : 'picker-line'}
              role="option"
              data-testid="run-option"
              data-run={run.name}
              aria-selected={run.name === selected}
              aria-setsize={count}
              aria-posinset={place + 1}
              title={`${run.label}\n${run.problem ?? ''}`.trim().slice(0, TITLE_CHARACTERS)}
              style={style}
              onClick={() => {
                take(run);
              }}
            >
              <bdi>{labelOf(run)}</bdi>
              <bdi class="quiet">{remarkOf(run)}</bdi>
            </div>
          );
        })}
      </div>
    </div>
  );
}

import { useEffect, useRef } from 'preact/hooks';
import { Breadcrumb } from './breadcrumb.tsx';
import { type Filter, NO_FILTER, SEARCHED_CHARACTERS } from './filter.ts';
import { formatCount, formatSteps, shortened } from './format.ts';
import { pageShortcutOf } from './keys.ts';
import { byGroup } from './metric_groups.ts';
import { KINDS, type Kind, bitOf } from './node_kinds.ts';
import { MODEL_ORDER, type Order } from './ordering.ts';
import type { Pointing } from './pointing.ts';
import type { Ranking } from './ranking.ts';
import type { Store } from './store.ts';
import { activeRowOf } from './tree_keys.ts';

const LABEL_CHARACTERS = 40;

interface Props {
  store: Store;
  pointing: Pointing;
  ranking: Ranking;
}

/** Which rows tree and heatmap have, and in which order; the path of the active one. */
export function TreeTools({ store, pointing, ranking }: Props) {
  const set = (change: Partial<Filter>) => {
    setFilter(store, pointing, { ...store.filter.peek(), ...change });
  };
  return (
    <div class="tree-tools" role="group" aria-label="Rows of the heatmap">
      <FilterField store={store} set={set} />
      <KindChips store={store} set={set} />
      <OrderTools store={store} ranking={ranking} />
      <Breadcrumb store={store} pointing={pointing} />
    </div>
  );
}

/** Starts at the top of what is left; without a filter again, the active row is where one looks. */
function setFilter(store: Store, pointing: Pointing, filter: Filter): void {
  store.filter.value = filter;
  store.scrollCssPx.value = 0;
  const tree = store.tree.peek();
  if (filter.text === '' && filter.kinds.length === 0 && tree !== null)
    pointing.revealRow(activeRowOf(tree, store.nodes.peek(), store.activeKey.peek()));
}

function FilterField({ store, set }: { store: Store; set: (change: Partial<Filter>) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const { text } = store.filter.value;
  const problem = store.outline.problem.value;
  useEffect(() => {
    const focusBySlash = (event: KeyboardEvent) => {
      if (pageShortcutOf(event) !== 'filter') return;
      event.preventDefault();
      field.current?.focus();
      field.current?.select();
    };
    document.addEventListener('keydown', focusBySlash);
    return () => {
      document.removeEventListener('keydown', focusBySlash);
    };
  }, []);
  return (
    <div class="tree-filter">
      <input
        ref={field}
        type="search"
        data-testid="filter"
        value={text}
        maxLength={SEARCHED_CHARACTERS}
        placeholder="Filter: words or /regex/"
        aria-label="Filter modules and tensors by words, or by a regular expression between slashes"
        aria-invalid={problem !== null}
        aria-describedby="filter-problem filter-count"
        aria-keyshortcuts="/"
        title="All words must occur, or /regex/i. Press / to come here, Escape to clear."
        onInput={(event) => {
          set({ text: event.currentTarget.value });
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') set(NO_FILTER);
          else if (event.key === 'ArrowDown' || event.key === 'Enter') focusTree();
          else return;
          event.preventDefault();
        }}
      />
      <span id="filter-count" class="filter-count" role="status" data-testid="filter-count">
        {countOf(store)}
      </span>
      <span
        id="filter-problem"
        class={problem === null ? '' : 'filter-problem'}
        role="status"
        data-testid="filter-problem"
      >
        {problem}
      </span>
    </div>
  );
}

function focusTree(): void {
  document.querySelector<HTMLElement>('[role=tree] [tabindex="0"]')?.focus();
}

/** In words, while there is a filter; also that no name is searched beyond its first characters. */
function countOf(store: Store): string {
  if (store.outline.problem.value !== null) return 'not filtered';
  if (store.outline.kept.value === null) return '';
  const { found, all } = store.outline.count.value;
  const searched = store.filter.value.text !== '' && store.outline.hasLongNames.value;
  const how = searched ? `, in the first ${formatCount(SEARCHED_CHARACTERS)} characters` : '';
  return `${formatCount(found)} of ${formatCount(all)}${how}`;
}

function KindChips({ store, set }: { store: Store; set: (change: Partial<Filter>) => void }) {
  const chosen = store.filter.value.kinds;
  // To find the kinds of thousands of names takes longer than to draw them.
  const present = store.pictured.value ? store.outline.kindsPresent.value : 0;
  const without = (kind: Kind) => chosen.filter((one) => one !== kind);
  return (
    <div class="chips" role="group" aria-label="Kinds of tensors">
      {KINDS.map((kind) => {
        const pressed = chosen.includes(kind);
        return (
          <button
            key={kind}
            type="button"
            class="toggle"
            data-testid="kind"
            data-kind={kind}
            aria-pressed={pressed}
            disabled={!pressed && (present & bitOf(kind)) === 0}
            onClick={() => {
              set({ kinds: pressed ? without(kind) : [...chosen, kind] });
            }}
          >
            {kind}
          </button>
        );
      })}
    </div>
  );
}

const BY_METRIC = 'metric:';

/** The steps that the rows are ordered by, or why they are in model order. */
function rankedBy(order: Order, ranking: Ranking): string {
  const ranked = ranking.ranked.value;
  if (order.by === 'model') return '';
  if (ranking.lacking.value !== null) return 'model order: this run lacks the metric';
  return ranking.waiting.value || ranked === null ? '…' : formatSteps(...ranked.steps);
}

function OrderTools({ store, ranking }: { store: Store; ranking: Ranking }) {
  const order = store.order.value;
  const [ranked, byMetric] = [ranking.ranked.value, order.by === 'metric'];
  const set = (next: Order) => {
    store.order.value = next;
    store.scrollCssPx.value = 0;
  };
  const choose = (value: string) => {
    const flat = store.order.peek().flat === true ? { flat: true } : {};
    if (value.startsWith(BY_METRIC))
      set({ by: 'metric', metric: value.slice(BY_METRIC.length), descending: true, ...flat });
    else set({ ...(value === 'worst' ? { by: 'worst' } : MODEL_ORDER), ...flat });
  };
  const descending = order.descending ?? true;
  const lacking = ranking.lacking.value;
  return (
    <div class="order" role="group" aria-label="Order of rows">
      <select
        data-testid="order"
        aria-label="Order of rows"
        value={byMetric ? BY_METRIC + (order.metric ?? '') : order.by}
        title={ranked === null ? 'Order of rows' : `Ordered by ${formatSteps(...ranked.steps)}`}
        onChange={(event) => {
          choose(event.currentTarget.value);
        }}
      >
        <option value="model">Model order</option>
        <option value="worst">Worst first in view</option>
        {[...byGroup(store.meta.value?.metrics ?? [])].map(([group, metrics]) => (
          <optgroup key={group} label={`At the clicked cell's steps: ${shortened(group, LABEL_CHARACTERS)}`}>
            {metrics.map(({ name, label }) => (
              <option key={name} value={BY_METRIC + name}>
                {shortened(label, LABEL_CHARACTERS)} at the cell
              </option>
            ))}
          </optgroup>
        ))}
        {lacking !== null && (
          <option value={BY_METRIC + lacking}>{shortened(lacking, LABEL_CHARACTERS)}, not in this run</option>
        )}
      </select>
      <button
        type="button"
        class="toggle"
        data-testid="order-direction"
        disabled={!byMetric}
        aria-label={descending ? 'Largest first' : 'Smallest first'}
        title={descending ? 'Largest first' : 'Smallest first'}
        onClick={() => {
          set({ ...order, descending: !descending });
        }}
      >
        {descending ? '↓' : '↑'}
      </button>
      <button
        type="button"
        class="toggle"
        data-testid="flat"
        aria-pressed={order.flat === true}
        title="Tensors in one list, without modules"
        onClick={() => {
          set({ ...store.order.peek(), flat: store.order.peek().flat !== true });
        }}
      >
        Tensors only
      </button>
      <button
        type="button"
        data-testid="re-rank"
        disabled={!ranking.outdated.value}
        title={
          order.by === 'worst'
            ? 'Order by what the run has come to'
            : 'Order by the cursor’s cell, as the run is now'
        }
        onClick={() => {
          ranking.again();
        }}
      >
        Re-rank
      </button>
      <span class="quiet ranked" role="status" data-testid="ranked">
        {rankedBy(order, ranking)}
      </span>
    </div>
  );
}

import { formatValue } from '../format.ts';
import { shortened } from '../format.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import { figuresAt } from './chart_view.tsx';
import type { Drill, Shown } from './drill.ts';
import type { LineFeed } from './line_feed.ts';
import { DASHES } from './pins.ts';

const NAME_CHARACTERS = 160;

interface Props {
  store: Store;
  pointing: Pointing;
  drill: Drill;
  feed: LineFeed;
}

/** The chart's lines by colour, dashes and name, with their figures at the step that is pointed at. */
export function PinList({ store, pointing, drill, feed }: Props) {
  return (
    <ul class="pins" data-testid="pins" aria-label="Lines in the chart">
      {drill.shown.value.map((shown) => (
        <li key={shown.key} data-testid="line" data-style={shown.style}>
          <Swatch style={shown.style} />
          <bdi class="name" title={shortened(nameOf(store, shown), 500)}>
            {shortened(nameOf(store, shown), NAME_CHARACTERS)}
          </bdi>
          <span class="figure">{textOf(store, pointing, feed, shown)}</span>
          {shown.pinned && (
            <button
              type="button"
              class="icon"
              data-testid="unpin"
              aria-label={`Take ${shortened(nameOf(store, shown), NAME_CHARACTERS)} out of the chart`}
              title="Take out of the chart"
              onClick={() => {
                drill.togglePin(shown.key);
              }}
            >
              ×
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

export function Swatch({ style }: { style: number }) {
  return (
    <svg class="swatch-line" viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">
      <path class={`series-${style}`} d="M0 4H28" stroke-dasharray={(DASHES[style] ?? []).join(' ')} />
    </svg>
  );
}

/** A key is the kind and the name of a node, which may be of another run. */
function nameOf(store: Store, { key, node }: Shown): string {
  const name = node === null ? undefined : store.tree.value?.names[node];
  return (name ?? key.slice(key.indexOf(':') + 1)) || 'All tensors';
}

function textOf(store: Store, pointing: Pointing, feed: LineFeed, { key, node }: Shown): string {
  if (node === null) return 'not in this run';
  const figures = figuresAt(feed, key, pointing.stepTold.value);
  if (figures === null) return '';
  const text = (value: number | null) => formatValue(value ?? Number.NaN, store.metric.value?.kind, 3);
  if (figures.mean === null) return 'no data';
  const spread = figures.min === figures.max ? '' : ` (${text(figures.min)}–${text(figures.max)})`;
  return text(figures.mean) + spread;
}

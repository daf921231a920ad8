import { formatValue, shortened } from '../format.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import { FLAG_NAN, FLAG_NEG_INF, FLAG_POS_INF } from '../tiles.ts';
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
          <bdi class="name" title={shortened(nameOf(drill, shown), 500)}>
            {shortened(nameOf(drill, shown), NAME_CHARACTERS)}
          </bdi>
          <Figure {...figureOf(store, pointing, drill, feed, shown)} />
          {shown.pinned && (
            <button
              type="button"
              class="icon"
              data-testid="unpin"
              aria-label={`Take ${shortened(nameOf(drill, shown), NAME_CHARACTERS)} out of the chart`}
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
function nameOf(drill: Drill, { key, node }: Shown): string {
  const name = node === null ? undefined : drill.subject.value.tree.value?.names[node];
  return (name ?? key.slice(key.indexOf(':') + 1)) || 'All tensors';
}

/** The mean in view, its spread in the title: the band beside it shows that. */
function figureOf(store: Store, pointing: Pointing, drill: Drill, feed: LineFeed, { key, node }: Shown) {
  const where = drill.subject.value === store ? 'stream' : 'run';
  if (node === null) return { text: `not in this ${where}`, title: '' };
  const figures = figuresAt(feed, key, pointing.stepTold.value);
  if (figures === null) return { text: '', title: '' };
  const [mean, min, max] = [figures.mean, figures.min, figures.max].map((value) =>
    value === null ? 'no data' : formatValue(value, store.metric.value?.kind, 3),
  );
  const bad = nonFiniteWords(figures.flags);
  return {
    text: [mean, bad].join(' ').trim(),
    title: `mean ${mean ?? ''}, min ${min ?? ''}, max ${max ?? ''}`,
  };
}

function Figure({ text, title }: { text: string; title: string }) {
  return (
    <span class="figure" title={title}>
      {text}
    </span>
  );
}

function nonFiniteWords(flags: number): string {
  const signs = [
    (flags & FLAG_NAN) !== 0 ? 'NaN' : '',
    (flags & FLAG_POS_INF) !== 0 ? '+Inf' : '',
    (flags & FLAG_NEG_INF) !== 0 ? '-Inf' : '',
  ].filter((sign) => sign !== '');
  return signs.length === 0 ? '' : `· ${signs.join(' ')}`;
}

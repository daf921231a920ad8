import { NON_FINITE, ZERO, cssColour, rampColour } from './colours.ts';
import { formatValue } from './format.ts';
import { fitRange } from './painter.ts';
import { type Range, position, rangeTicks } from './ranges.ts';
import { SIGN_PATHS, type Sign } from './signs.ts';
import type { Store } from './store.ts';

const BAR_STOPS = 32;
const MOST_TICKS = 5;

/** What the colours and signs of the heatmap mean. */
export function Legend({ store, shared = false }: { store: Store; shared?: boolean }) {
  const [range, metric, map] = [store.range.value, store.metric.value, store.colourMap.value];
  if (range === null || metric === null) return <div class="legend" data-testid="legend" />;
  const stops = Array.from({ length: BAR_STOPS }, (_, i) => cssColour(rampColour(map, i / (BAR_STOPS - 1))));
  return (
    <div class="legend" data-testid="legend">
      {range.scale === 'log' && range.kind !== 'signed' && (
        <span class="key">
          <span class="swatch" style={{ background: cssColour(ZERO) }} />0
        </span>
      )}
      <span class="ramp">
        <span class="bar" style={{ background: `linear-gradient(to right, ${stops.join(', ')})` }} />
        <Ticks range={range} />
      </span>
      <span class="unit">
        {metric.unit}
        {shared && <span data-testid="shared-colours"> · same colours in A and B</span>}
      </span>
      <button
        type="button"
        data-testid="fit"
        title="Fit the colours to the cells in view; until then the range stays as it is"
        onClick={() => {
          fitRange(store);
        }}
      >
        Fit
      </button>
      <span class="key">
        <SignKey sign="nan" />
        NaN
      </span>
      <span class="key">
        <SignKey sign="posInf" />
        <SignKey sign="negInf" />
        ±Inf
      </span>
      <span class="key">
        <span class="swatch hatched" />
        no gradient
      </span>
    </div>
  );
}

function Ticks({ range }: { range: Range }) {
  return (
    <span class="ticks">
      {rangeTicks(range, MOST_TICKS).map((value) => (
        <span key={value} style={{ left: `${100 * position(range, value)}%` }}>
          {formatValue(value, range.kind, 2)}
        </span>
      ))}
    </span>
  );
}

/** A non-finite cell as the heatmap draws it. */
function SignKey({ sign }: { sign: Sign }) {
  return (
    <svg class="swatch" viewBox="0 0 14 14" aria-hidden="true">
      <rect width="14" height="14" fill={cssColour(NON_FINITE)} />
      <path
        d={SIGN_PATHS[sign]}
        transform="translate(3 3)"
        fill="none"
        stroke="#fff"
        stroke-width="1.8"
        stroke-linecap="round"
      />
    </svg>
  );
}

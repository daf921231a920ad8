import { NON_FINITE, cssColour, zeroColour } from './colours.ts';
import { RangeControl } from './range_control.tsx';
import { zeroIsApart } from './ranges.ts';
import { SIGN_PATHS, type Sign } from './signs.ts';
import type { Store } from './store.ts';

/** What the colours and signs of the heatmap mean. */
export function Legend({ store, shared = false }: { store: Store; shared?: boolean }) {
  const range = store.range.value;
  return (
    <div class="legend" data-testid="legend">
      <RangeControl store={store} />
      {shared && (
        <span class="quiet" data-testid="shared-colours">
          same colours in A and B
        </span>
      )}
      <span class="keys">
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
          <bdi>no {store.what.value}</bdi>
        </span>
        {range !== null && zeroIsApart(range) && (
          <span class="key">
            <span class="swatch" style={{ background: cssColour(zeroColour(range)) }} />0
          </span>
        )}
      </span>
    </div>
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

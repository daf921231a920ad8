import { px } from '../format.ts';
import { OverviewRows } from '../late.tsx';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import type { OverviewFeed } from './overview_feed.ts';

/** The height stays whatever has come, or the heatmap below would move. */
const HEIGHT_CSS_PX = 78;
const ID = 'overview';

interface Props {
  store: Store;
  pointing: Pointing;
  feed: OverviewFeed;
  theme: { readonly value: Theme };
}

/** Norm, loss, learning rate and skipped steps above the heatmap, on its step axis. */
export function OverviewStrip({ feed, ...props }: Props) {
  const [open, overview] = [feed.open.value, feed.overview.value];
  if (overview?.series.length === 0) return null;
  return (
    <section
      class={open ? 'overview' : 'overview folded'}
      data-testid="overview"
      aria-label="Overview of the training"
      style={{ '--left': px(props.store.leftCssPx.value), '--height': px(HEIGHT_CSS_PX) }}
    >
      <button
        type="button"
        class="fold"
        data-testid="fold-overview"
        aria-expanded={open}
        aria-controls={ID}
        aria-label="Overview"
        title={open ? 'Fold the overview' : 'Unfold the overview'}
        onClick={() => {
          feed.open.value = !open;
        }}
      >
        <span class={open ? 'twisty open' : 'twisty'} />
        {!open && 'Overview'}
      </button>
      {open && (
        <div id={ID} class="overview-body">
          {overview !== null && <OverviewRows {...props} overview={overview} heightCssPx={HEIGHT_CSS_PX} />}
        </div>
      )}
    </section>
  );
}

import { formatCount, px } from './format.ts';
import { stepTicks } from './scales.ts';
import type { Store } from './store.ts';
import { stepCssX } from './viewport.ts';

const TICK_GAP_CSS_PX = 90;

/** Restarts shown at most: more would be a bar, and say nothing. */
const MOST_RESTARTS = 50;

/** The step axis above the heatmap, with a flag where a later session of the run took over. */
export function Axis({ store }: { store: Store }) {
  const [scale, viewport, meta] = [store.scale.value, store.viewport.value, store.meta.value];
  if (scale === null || meta === null) return <div class="axis" />;
  const ticks = stepTicks(scale, TICK_GAP_CSS_PX * viewport.devicePixelRatio);
  const restarts = meta.sessions.filter(
    ({ start }) => start > meta.steps[0] && start >= scale.start && start < scale.end,
  );
  return (
    <div class="axis">
      {ticks.map((step) => (
        <span key={step} class="tick" style={{ left: px(stepCssX(viewport, scale, step)) }}>
          {formatCount(step)}
        </span>
      ))}
      {restarts.slice(-MOST_RESTARTS).map(({ id, start }) => (
        <span
          key={id}
          class="restart"
          style={{ left: px(stepCssX(viewport, scale, start)) }}
          title={`A new session of the run began at step ${formatCount(start)}`}
        />
      ))}
      <span class="axis-title">
        step
        {store.window.value !== null && (
          <button
            type="button"
            data-testid="whole-run"
            title="Show the whole run and follow it: double-click, or 0"
            onClick={() => {
              store.window.value = null;
            }}
          >
            Whole run
          </button>
        )}
      </span>
    </div>
  );
}

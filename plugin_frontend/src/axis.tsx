import { formatCount, px } from './format.ts';
import { stepTicks } from './scales.ts';
import type { Store } from './store.ts';
import { stepCssX } from './viewport.ts';

const TICK_GAP_CSS_PX = 90;

/** The step axis above the heatmap; a passive one leaves the button to the other. */
export function Axis({ store, passive = false }: { store: Store; passive?: boolean }) {
  const [scale, viewport] = [store.scale.value, store.viewport.value];
  if (scale === null) return <div class="axis" />;
  const ticks = stepTicks(scale, TICK_GAP_CSS_PX * viewport.devicePixelRatio);
  return (
    <div class="axis">
      {ticks.map((step) => (
        <span key={step} class="tick" style={{ left: px(stepCssX(viewport, scale, step)) }}>
          {formatCount(step)}
        </span>
      ))}
      <span class="axis-title">
        step
        {store.window.value !== null && !passive && (
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

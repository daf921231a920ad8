import { formatCount, px } from './format.ts';
import type { Navigation } from './navigation.ts';
import { stepTicks } from './scales.ts';
import type { Store } from './store.ts';
import { StepButtons } from './step_buttons.tsx';
import { stepCssX } from './viewport.ts';

const TICK_GAP_CSS_PX = 90;

/** The step axis above the heatmap; without `navigation` it leaves the buttons to the other one. */
export function Axis({ store, navigation }: { store: Store; navigation?: Navigation }) {
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
        {navigation !== undefined && <StepButtons store={store} navigation={navigation} />}
      </span>
    </div>
  );
}

import { px } from './format.ts';
import type { Store } from './store.ts';
import { stepCssX } from './viewport.ts';

interface Props {
  store: Store;
  /** May be a fraction: the place under the pointer. */
  step: number | null;
  kind: 'hairline' | 'cursor-line';
}

/** A vertical line at a step, in a box that has the heatmap's left edge and width. */
export function StepLine({ store, step, kind }: Props) {
  const scale = store.scale.value;
  if (step === null || scale === null || step < scale.start || step > scale.end) return null;
  return (
    <div class={`step-line ${kind}`} style={{ left: px(stepCssX(store.viewport.value, scale, step)) }} />
  );
}

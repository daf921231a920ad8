import { type ReadonlySignal, signal } from '@preact/signals';

export function isVisible(): boolean {
  // TensorBoard hides a tab by giving its frame no height.
  return document.visibilityState === 'visible' && window.innerHeight > 0;
}

/** Whether somebody can see the page, as a signal. */
export function watchVisibility(): ReadonlySignal<boolean> {
  const visible = signal(isVisible());
  const update = () => {
    visible.value = isVisible();
  };
  window.addEventListener('resize', update);
  window.addEventListener('focus', update);
  document.addEventListener('visibilitychange', update);
  return visible;
}

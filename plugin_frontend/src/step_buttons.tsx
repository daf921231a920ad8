import type { Navigation } from './navigation.ts';
import type { Store } from './store.ts';

/** Ways out of a zoom, at the end of the step axis. */
export function StepButtons({ store, navigation }: { store: Store; navigation: Navigation }) {
  const zoomed = store.window.value !== null;
  const following = navigation.following.value;
  return (
    <>
      {navigation.canGoBack.value && (
        <button
          type="button"
          data-testid="zoom-back"
          aria-label="Back to the steps before"
          title="Back to the steps that were in view before: Backspace"
          onClick={() => {
            navigation.back();
          }}
        >
          ←
        </button>
      )}
      {zoomed && (
        <>
          <button
            type="button"
            class={following ? 'follow on' : 'follow'}
            data-testid="follow"
            aria-pressed={following}
            title="Stay at the end of a live run, with as many steps in view as now"
            onClick={() => {
              navigation.follow(!following);
            }}
          >
            Follow
          </button>
          <button
            type="button"
            data-testid="whole-run"
            title="Show the whole run and follow it: double-click, or 0"
            onClick={() => {
              navigation.showAll();
            }}
          >
            Whole run
          </button>
        </>
      )}
    </>
  );
}

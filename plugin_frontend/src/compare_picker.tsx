import { useState } from 'preact/hooks';
import type { LinkedRun } from './linked.ts';
import { ActionIcon } from './icons.tsx';
import { RunPicker } from './run_picker.tsx';
import type { Store } from './store.ts';

/** The toolbar's way to a second run: a button that turns into a picker. */
export function ComparePicker({ store, linked }: { store: Store; linked: LinkedRun }) {
  const [asking, setAsking] = useState(false);
  const [runs, first, second] = [store.runs.value ?? [], store.runName.value, linked.name.value];
  if (!asking && second === null)
    return (
      <button
        type="button"
        class="action"
        data-testid="compare"
        aria-label="Compare with…"
        disabled={!runs.some((run) => run.status === 'ok' && run.name !== first)}
        title="Compare with…: show a second run beside this one: same rows, steps and colours"
        onClick={() => {
          setAsking(true);
        }}
      >
        <ActionIcon name="compare" />
      </button>
    );
  return (
    <RunPicker
      label="Compare with"
      testId="compare-picker"
      runs={runs.filter((run) => run.name !== first)}
      selected={second}
      choose={(name) => {
        linked.choose(name);
        setAsking(false);
      }}
      eager={asking}
      leave={() => {
        setAsking(false);
      }}
    />
  );
}

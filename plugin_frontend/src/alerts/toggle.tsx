import { formatCount } from '../format.ts';
import type { Store } from '../store.ts';
import { type Alerts, countsOf, summaryOf } from './alerts.ts';
import { type Grade, LOOKS } from './kinds.ts';

/** Grades that are counted on the button. */
const GRAVE = ['critical', 'high'] as const;

/** Opens and closes the rail, and tells how much that is grave is in it. */
export function AlertsToggle({ store, alerts }: { store: Store; alerts: Alerts }) {
  if (store.screen.value !== 'heatmap') return null;
  const counts = countsOf([...(alerts.findings.value?.all.value ?? []), ...alerts.all.value]);
  return (
    <button
      type="button"
      class="alerts-toggle"
      data-testid="alerts-toggle"
      aria-expanded={alerts.open.value}
      aria-controls="alert-rail"
      title={`What was found: ${summaryOf(counts)}; , and . go from one to the next`}
      onClick={() => {
        alerts.toggle();
      }}
    >
      Alerts
      {GRAVE.filter((grade) => counts[grade] > 0).map((grade) => (
        <span key={grade} class="grave-count" data-testid={`${grade}-count`}>
          <Icon severity={grade} />
          {formatCount(counts[grade])}
          <span class="visually-hidden"> {grade}</span>
        </span>
      ))}
    </button>
  );
}

export function Icon({ severity }: { severity: Grade }) {
  return (
    <svg class={`severity is-${severity}`} viewBox="-1 -1 12 12" width="12" height="12" aria-hidden="true">
      <path d={LOOKS[severity].shape} />
    </svg>
  );
}

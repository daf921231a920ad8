import type { Severity } from '../contract.ts';
import { formatCount } from '../format.ts';
import type { Store } from '../store.ts';
import { type Alerts, summaryOf } from './alerts.ts';
import { LOOKS } from './kinds.ts';

/** Opens and closes the rail, and tells how many critical alerts are in it. */
export function AlertsToggle({ store, alerts }: { store: Store; alerts: Alerts }) {
  if (store.screen.value !== 'heatmap') return null;
  const { critical } = alerts.counts.value;
  return (
    <button
      type="button"
      class="alerts-toggle"
      data-testid="alerts-toggle"
      aria-expanded={alerts.open.value}
      aria-controls="alert-rail"
      title={`What was found: ${summaryOf(alerts.counts.value)}; , and . go from alert to alert`}
      onClick={() => {
        alerts.toggle();
      }}
    >
      Alerts
      {critical > 0 && (
        <span class="critical-count" data-testid="critical-count">
          <Icon severity="critical" />
          {formatCount(critical)}
          <span class="visually-hidden"> critical</span>
        </span>
      )}
    </button>
  );
}

export function Icon({ severity }: { severity: Severity }) {
  return (
    <svg class={`severity is-${severity}`} viewBox="-1 -1 12 12" width="12" height="12" aria-hidden="true">
      <path d={LOOKS[severity].shape} />
    </svg>
  );
}

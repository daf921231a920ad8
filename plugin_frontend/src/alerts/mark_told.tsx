import { formatSteps, plural, shortened } from '../format.ts';
import { fullName } from '../model.ts';
import type { Pointed } from '../pointing.ts';
import type { Store } from '../store.ts';
import { type AlertMark, alertsOfCell, markAt } from './alert_marks.ts';
import { LOOKS, type Spot } from './kinds.ts';
import { Icon } from './toggle.tsx';

const MOST_TOLD = 3;
const SENTENCE_CHARACTERS = 300;
const PATH_CHARACTERS = 56;

/** The alerts of the mark under the pointer, or of the cell under the cursor. */
export function alertsPointedAt(
  store: Store,
  marks: readonly AlertMark[],
  pointed: Pointed,
): readonly Spot[] {
  const [pointer, grid] = [store.pointer.value, store.grid.value];
  if (pointer !== null) return markAt(marks, pointer, store.size.value.devicePixelRatio)?.alerts ?? [];
  const size = (grid?.cell ?? 1) * 2 ** pointed.level;
  return alertsOfCell(marks, pointed.row, [pointed.index * size, (pointed.index + 1) * size]);
}

/** Alerts for a tooltip: severity, steps and tensor of each, and its sentence. */
export function MarkTold({ store, alerts }: { store: Store; alerts: readonly Spot[] }) {
  if (alerts.length === 0) return null;
  const more = alerts.length - MOST_TOLD;
  return (
    <div class="mark-told" data-testid="mark-told">
      {alerts.slice(0, MOST_TOLD).map((alert) => (
        <div key={alert.id}>
          <div>
            <Icon severity={alert.severity} /> <b>{LOOKS[alert.severity].word}</b>:{' '}
            {formatSteps(...alert.steps)}, <bdi>{nameOf(store, alert)}</bdi>
          </div>
          <bdi>{shortened(alert.text, SENTENCE_CHARACTERS)}</bdi>
        </div>
      ))}
      {more > 0 && <div class="about">and {plural(more, 'further alert')} in this mark</div>}
    </div>
  );
}

/** The same for a screen reader. */
export function alertWords(alerts: readonly Spot[]): string {
  return alerts
    .slice(0, MOST_TOLD)
    .map(({ severity, text }) => `${LOOKS[severity].word}: ${shortened(text, SENTENCE_CHARACTERS)}`)
    .join('. ');
}

function nameOf(store: Store, { node }: Spot): string {
  const tree = store.tree.value;
  return tree === null ? '' : shortened(fullName(tree, node), PATH_CHARACTERS);
}

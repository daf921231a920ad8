import { computed, effect } from '@preact/signals';
import type { Alerts } from './alerts/alerts.ts';
import type { Pointing } from './pointing.ts';
import type { Store } from './store.ts';

/**
 * Keeps the cursor's row in view where it was in view: when the heatmap becomes lower, as the drill-down opens, and,
 * after a jump to an alert, when the rows are ordered anew. An order that is chosen after the jump begins at its top.
 */
export function keepRowInView(store: Store, pointing: Pointing, alerts: Alerts): () => void {
  const height = computed(() => store.size.value.heightDevicePx);
  const now = () => ({
    cursor: store.cursor.value,
    height: height.value,
    ranks: store.outline.ranks.value,
    visited: alerts.visited.value,
    inView: pointing.cursorRowIsInView.value,
  });
  let before = now();
  let orderAtVisit = store.order.peek();
  return effect(() => {
    const [was, is, order] = [before, now(), store.order.value];
    before = is;
    if (is.visited !== was.visited) orderAtVisit = order;
    if (is.cursor !== was.cursor || !was.inView) return;
    const isVisited = is.visited?.place === is.cursor && order === orderAtVisit;
    const isReordered = is.ranks !== was.ranks && isVisited;
    if (is.height === was.height && !isReordered) return;
    before = { ...is, inView: true };
    pointing.revealCursor();
  });
}

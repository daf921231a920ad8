import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Alerts } from '../src/alerts/alerts.ts';
import { visit } from '../src/alerts/visit.ts';
import { keepRowInView } from '../src/kept_row.ts';
import { openAll } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { Ranking } from '../src/ranking.ts';
import { alertOf } from './support/alert.ts';
import { metaOf, nodesFrom } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const TENSORS = 60;
const ROW = 18;

/** A flat tree of many tensors, of which ten rows are in view. `worst` tensors come first in the worst order. */
function openPage() {
  const names = Array.from({ length: TENSORS }, (_, i) => `t${i}`);
  const store = storeOf(metaOf({ nodes: nodesFrom(['', ...names], [-1, ...names.map(() => 0)]) }), {
    heightDevicePx: 10 * ROW,
  });
  if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
  const pointing = new Pointing(store);
  const alerts = new Alerts({ read: () => 'closed', write: () => undefined }, () => 800);
  // Of `norm` the last tensor is the worst; of `mean` the first.
  const values = ({ metric }: { metric: string }) =>
    Promise.resolve({
      steps: [0, 5_000] as [number, number],
      values: ['', ...names].map((_, node) => (metric === 'mean' ? TENSORS - node : node)),
    });
  const endings = [
    new Ranking({ values }, store, () => undefined).start(),
    keepRowInView(store, pointing, alerts),
  ];
  const place = (node: number) => ({ key: store.tree.value?.keys[node] ?? '', step: 100 });
  return { store, pointing, alerts, place, endings };
}

/** How many rows the first row in view is below the cursor's, from 0 to 9 where that is in view. */
function shownAt({ store, pointing }: ReturnType<typeof openPage>): number | null {
  const rect = pointing.cursorCell.value?.rect;
  const { heightDevicePx } = store.viewport.value;
  return rect === undefined || rect.y < 0 || rect.y + ROW > heightDevicePx ? null : rect.y / ROW;
}

const settle = () => vi.advanceTimersByTimeAsync(1_000);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the row of an alert that was gone to', () => {
  const SPIKE = alertOf({ kind: 'spike', node: 2, steps: [100, 110], metric: 'norm' });

  it('stays in view when the worst come first by its metric or its steps', async () => {
    const page = openPage();
    page.store.order.value = { by: 'worst' };
    page.store.chooseMetric('mean');
    await settle();
    visit(page.store, page.pointing, page.alerts, SPIKE, '');
    expect(page.store.metric.value?.name).toBe('norm');
    expect(shownAt(page)).not.toBeNull();
    await settle();
    expect(Array.from(page.store.nodes.value).indexOf(2)).toBe(TENSORS - 1);
    expect(shownAt(page)).not.toBeNull();
    page.store.chooseMetric('mean');
    await settle();
    expect(Array.from(page.store.nodes.value).indexOf(2)).toBe(2);
    expect(shownAt(page)).not.toBeNull();
  });

  it('is left behind once somebody scrolls it away or chooses another order', async () => {
    const page = openPage();
    page.store.order.value = { by: 'worst' };
    await settle();
    visit(page.store, page.pointing, page.alerts, SPIKE, '');
    page.store.scrollCssPx.value = 0;
    expect(shownAt(page)).toBeNull();
    const ranks = page.store.outline.ranks.value;
    page.store.window.value = { start: 0, end: 1_000 };
    await settle();
    expect(page.store.outline.ranks.value).not.toBe(ranks);
    expect(page.store.scrollCssPx.value).toBe(0);

    page.store.order.value = { by: 'model' };
    visit(page.store, page.pointing, page.alerts, SPIKE, '');
    expect(shownAt(page)).not.toBeNull();
    page.store.order.value = { by: 'worst' };
    page.store.scrollCssPx.value = 0;
    await settle();
    expect([page.store.scrollCssPx.value, shownAt(page)]).toEqual([0, null]);
  });
});

describe("the cursor's row", () => {
  const lower = (page: ReturnType<typeof openPage>, rows: number) => {
    page.store.size.value = { ...page.store.size.value, heightDevicePx: rows * ROW };
  };

  it('stays in view however often the heatmap becomes lower, and wherever it was', () => {
    for (const row of [3, 9, 30]) {
      const page = openPage();
      page.store.cursor.value = page.place(row);
      page.pointing.revealCursor();
      for (const rows of [8, 8, 5, 9, 2]) {
        lower(page, rows);
        expect(shownAt(page)).not.toBeNull();
      }
    }
  });

  it('stays away where somebody has scrolled it away', () => {
    const page = openPage();
    page.store.cursor.value = page.place(30);
    lower(page, 4);
    expect([page.store.scrollCssPx.value, shownAt(page)]).toEqual([0, null]);
    page.store.order.value = { by: 'worst' };
    expect(page.store.scrollCssPx.value).toBe(0);
  });
});

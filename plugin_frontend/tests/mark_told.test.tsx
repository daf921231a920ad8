// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { describe, expect, it } from 'vitest';
import { Alerts } from '../src/alerts/alerts.ts';
import { MarkTold, alertWords, alertsPointedAt } from '../src/alerts/mark_told.tsx';
import { marksInView } from '../src/alerts/marks_view.tsx';
import type { Alert } from '../src/contract.ts';
import { openAll } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { host } from './support/host.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { metaOf, nodesFrom } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE =
  '<img src=x onerror="window.pwned=1"></bdi><script>window.pwned=1</script>' + 'x'.repeat(5_000);

/** A canvas of 1000 × 90 pixels over 5,000 steps in cells of 10; `a` is the second row. */
function openPage(found: readonly Alert[]) {
  const store = storeOf(metaOf({ nodes: nodesFrom(['', 'a', HOSTILE], [-1, 0, 0]) }), {
    widthDevicePx: 2_000,
    heightDevicePx: 180,
    devicePixelRatio: 2,
  });
  if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
  const alerts = new Alerts({ read: () => 'closed', write: () => undefined }, () => 1_400);
  alerts.receive({
    run: 'exp1/gradhealth',
    stream: 'gradients',
    tree: foundIn,
    revision: 1,
    alerts: found,
    complete: true,
  });
  const pointing = new Pointing(store);
  const marks = marksInView(store, alerts);
  const at = (cssX: number, cssY: number) => {
    store.pointer.value = { cssX, cssY };
    const { pointed } = pointing;
    return pointed.value === null
      ? []
      : alertsPointedAt(store, marks.value, pointed.value).map(({ id }) => id);
  };
  return { store, alerts, pointing, marks, at };
}

const many = (count: number) =>
  Array.from({ length: count }, (_, i) => alertOf({ id: `#${i}`, node: 1, steps: [2_500 + i, 2_501 + i] }));

describe('a mark on the heatmap', () => {
  it('tells its alerts where the pointer is on it, and nothing beside it', () => {
    const { at, marks } = openPage([
      alertOf({ id: 'left', node: 1, steps: [1_000, 1_010] }),
      alertOf({ id: 'right', node: 2, steps: [4_000, 4_010] }),
    ]);
    for (const { left, right, top, height, alerts } of marks.value) {
      const [x, y] = [(left + right) / 4, (top + height / 2) / 2];
      expect(at(x, y)).toEqual(alerts.map(({ id }) => id));
      expect([at(x, y - 9), at(x - 20, y), at(x + 20, y)]).toEqual([[], [], []]);
    }
    expect(marks.value.length).toBe(2);
  });

  it('tells nothing where marks or its severity are hidden', () => {
    const { at, alerts, marks } = openPage(many(1));
    const [mark] = marks.value;
    const [x, y] = [(mark?.left ?? 0) / 2 + 1, (mark?.top ?? 0) / 2 + 1];
    expect(at(x, y)).toEqual(['#0']);
    alerts.toggleSeverity('critical');
    expect(at(x, y)).toEqual([]);
  });

  it('is told at the cell of the keyboard’s cursor as well', () => {
    const { store, pointing, marks } = openPage(many(1));
    store.cursorShown.value = true;
    const idsAt = (step: number) => {
      store.cursor.value = { key: 'tensor:a', step };
      const pointed = pointing.pointed.value;
      return pointed === null ? null : alertsPointedAt(store, marks.value, pointed).map(({ id }) => id);
    };
    expect([idsAt(2_500), idsAt(2_490), idsAt(2_520)]).toEqual([['#0'], [], []]);
  });

  it('says severity, steps, tensor and sentence as text, shortened, and how many there are', async () => {
    const { store } = openPage([]);
    await act(() => {
      render(<MarkTold store={store} alerts={[alertOf({ node: 2, text: HOSTILE }), ...many(5)]} />, host);
    });
    const text = host.textContent;
    expect(text).toContain('Critical: steps 130–139, ');
    expect(text).toContain('NaN in a.weight, first at step 137');
    expect(text).toContain('and 3 further alerts in this mark');
    expect(text.length).toBeLessThan(900);
    expect(host.querySelector('img, script')).toBeNull();
    expect(alertWords(many(1))).toBe('Critical: NaN in a.weight, first at step 137');
  });
});

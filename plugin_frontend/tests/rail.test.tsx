// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, describe, expect, it } from 'vitest';
import { Alerts } from '../src/alerts/alerts.ts';
import { SEVERITIES } from '../src/alerts/kinds.ts';
import { KINDS } from '../src/alerts/looked_for.ts';
import { AlertRail } from '../src/alerts/rail.tsx';
import { AlertsToggle } from '../src/alerts/toggle.tsx';
import { listenForJumps } from '../src/alerts/visit.ts';
import type { Alert } from '../src/contract.ts';
import { buildTree } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { host } from './support/host.ts';
import { alertOf } from './support/alert.ts';
import { metaOf, nodesFrom } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE =
  '<img src=x onerror="window.pwned=1"></bdi><script>window.pwned=1</script>' + 'x'.repeat(5_000);

let stop = () => undefined as unknown;

afterEach(() => {
  stop();
});

async function show(found: readonly Alert[], names = ['', 'a', 'b', 'a.weight']) {
  const store = storeOf(metaOf({ nodes: nodesFrom(names, [-1, 0, 0, 1]) }));
  const pointing = new Pointing(store);
  const alerts = new Alerts({ read: () => 'open', write: () => undefined }, () => 1_400);
  alerts.receive({
    run: 'exp1/gradhealth',
    stream: 'gradients',
    tree: buildTree(nodesFrom(names, [-1, 0, 0, 1])),
    revision: 1,
    alerts: found,
    complete: true,
  });
  stop = listenForJumps(store, pointing, alerts);
  await act(() => {
    render(
      <>
        <AlertsToggle store={store} alerts={alerts} />
        <AlertRail store={store} pointing={pointing} alerts={alerts} />
        <input type="text" />
        <select />
      </>,
      host,
    );
  });
  return { store, alerts };
}

const items = () => [...host.querySelectorAll<HTMLButtonElement>('[data-testid=alert]')];
const part = (id: string) => host.querySelector<HTMLElement>(`[data-testid=${id}]`);
const press = (target: EventTarget | null, key: string) =>
  act(() => {
    target?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  });

describe('the rail', () => {
  it('lists alerts under their severity in words, and counts the critical ones on its button', async () => {
    await show([
      alertOf({ id: 'a' }),
      alertOf({ id: 'b', kind: 'spike', severity: 'notice', metric: 'mean' }),
      alertOf({ id: 'c' }),
    ]);
    expect([...host.querySelectorAll('h3')].map((heading) => heading.textContent.trim())).toEqual([
      'Critical 2',
      'Notice 1',
    ]);
    expect(items().map((item) => item.dataset.alert)).toEqual(['a', 'c', 'b']);
    expect(items()[0]?.textContent).toBe(
      'Critical: NaN in a.weight, first at step 137steps 130–139 · a.weight',
    );
    expect(items()[2]?.textContent).toContain('switches to Mean');
    expect(part('critical-count')?.textContent).toBe('2 critical');
  });

  it('shows names as text, shortened, whatever they are', async () => {
    await show([alertOf({ text: HOSTILE })], ['', 'a', 'b', HOSTILE]);
    expect(items()[0]?.textContent).toContain('<img src=x');
    expect(items()[0]?.textContent.length).toBeLessThan(500);
    expect(host.querySelector('img, script')).toBeNull();
    expect('pwned' in window).toBe(false);
  });

  it('renders a part of many, more on demand, and the visited one however far down it is', async () => {
    const { alerts } = await show(Array.from({ length: 500 }, (_, i) => alertOf({ id: `#${i}` })));
    expect(items().length).toBe(100);
    await act(() => {
      part('alerts-more')?.click();
    });
    expect(items().length).toBe(200);
    await act(() => {
      alerts.visited.value = { id: '#449', place: { key: '', step: 0 }, told: '' };
    });
    expect(host.querySelector('[aria-current=true]')?.getAttribute('data-alert')).toBe('#449');
  });

  it('is one stop for the Tab key, walked by arrows, and goes to an alert’s cell at a press', async () => {
    const { store } = await show([alertOf({ id: 'a' }), alertOf({ id: 'b', node: 2, severity: 'warning' })]);
    expect(items().map((item) => item.tabIndex)).toEqual([0, -1]);
    items()[0]?.focus();
    await press(items()[0] ?? null, 'ArrowDown');
    expect(document.activeElement).toBe(items()[1]);
    await act(() => undefined);
    expect(items().map((item) => item.tabIndex)).toEqual([-1, 0]);
    await act(() => {
      items()[1]?.click();
    });
    expect(store.cursor.value).toEqual({ key: 'tensor:b', step: 130 });
    expect(items()[1]?.getAttribute('aria-current')).toBe('true');
    await press(items()[1] ?? null, 'Home');
    expect(document.activeElement).toBe(items()[0]);
  });

  it('hides severities that are not wanted', async () => {
    await show(SEVERITIES.map((severity) => alertOf({ id: severity, severity })));
    await act(() => {
      part('chip-warning')?.click();
    });
    expect(items().map((item) => item.dataset.alert)).toEqual(['critical', 'notice']);
    expect(part('chip-warning')?.getAttribute('aria-pressed')).toBe('false');
  });

  it('says what was looked for where nothing was found, and why there is no list', async () => {
    const { alerts } = await show([]);
    expect(part('alerts-empty')?.textContent).toContain('Nothing found in steps 0–4,999');
    expect([...host.querySelectorAll('dt')].length).toBe(KINDS.length);
    await act(() => {
      alerts.forget();
      alerts.problem.value = HOSTILE;
    });
    expect(part('alerts-problem')?.textContent).toContain('could not be loaded: <img');
    expect(host.querySelector('img, script')).toBeNull();
  });

  it('closes, and opens again at its button', async () => {
    await show([alertOf()]);
    await act(() => {
      part('alerts-close')?.click();
    });
    expect(part('alert-rail')).toBeNull();
    expect(document.activeElement).toBe(part('alerts-toggle'));
    await act(() => {
      part('alerts-toggle')?.click();
    });
    expect(part('alert-rail')).not.toBeNull();
  });
});

describe('the keys , and .', () => {
  it('work anywhere but in text and selects', async () => {
    const { alerts } = await show([alertOf({ id: 'a' }), alertOf({ id: 'b', steps: [900, 910] })]);
    await press(host.querySelector('input[type=text]'), '.');
    await press(host.querySelector('select'), '.');
    expect(alerts.visited.value).toBeNull();
    await press(document.body, '.');
    await press(part('alerts-toggle'), '.');
    expect(alerts.visited.value?.id).toBe('b');
    await press(document.body, ',');
    expect(alerts.visited.value?.id).toBe('a');
  });
});

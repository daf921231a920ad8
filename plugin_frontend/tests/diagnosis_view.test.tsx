// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { describe, expect, it } from 'vitest';
import { Alerts } from '../src/alerts/alerts.ts';
import { AlertRail } from '../src/alerts/rail.tsx';
import { AlertsToggle } from '../src/alerts/toggle.tsx';
import type { Finding } from '../src/contract.ts';
import { type Diagnosed, Findings } from '../src/findings/findings.ts';
import { Pointing } from '../src/pointing.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { findingOf } from './support/finding.ts';
import { host, part } from './support/host.ts';
import { storeOf } from './support/page.ts';

const HOSTILE =
  '<img src=x onerror="window.pwned=1"></bdi><script>window.pwned=1</script>' + 'x'.repeat(5_000);
const HIDDEN = { id: 'hidden', follows: 'nonfinite', rule: 'norm_jump', severity: 'high', node: 5 } as const;
const HINT = { id: 'hint', rule: 'gradient_zeros', severity: 'notice' } as const;

async function show(found: readonly Partial<Finding>[] | null, about: Partial<Diagnosed> = {}) {
  localStorage.clear();
  const store = storeOf();
  const alerts = new Alerts({ read: () => 'open', write: () => undefined }, () => 1_400);
  const findings = new Findings();
  alerts.findings.value = findings;
  const where = { run: 'exp1/gradhealth', stream: 'gradients', tree: foundIn, revision: 1 };
  alerts.receive({ ...where, alerts: [alertOf()], complete: true });
  if (found !== null)
    findings.receive({
      ...where,
      steps: [0, 5_000],
      recorded: true,
      findings: found.map(findingOf),
      ...about,
    });
  await act(() => {
    render(
      <>
        <AlertsToggle store={store} alerts={alerts} />
        <AlertRail store={store} pointing={new Pointing(store)} alerts={alerts} />
      </>,
      host,
    );
  });
  return { store, alerts, findings };
}

const items = () => [...host.querySelectorAll<HTMLElement>('[data-testid=finding]')];
const ids = () => items().map((item) => item.dataset.finding);
const click = (element: HTMLElement | null | undefined) =>
  act(() => {
    element?.click();
  });
const press = (key: string) =>
  act(() => {
    document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  });

describe('the diagnosis in the rail', () => {
  it('tells of each finding its severity in a word, what, when and where, ahead of the alerts', async () => {
    await show([{}, { id: 'loss', severity: 'medium', name: '', steps: [5, 6] }, HINT]);
    expect(items().map((item) => item.textContent)).toEqual([
      'Critical NUMERICALA value that is not finite was usedsteps 130–139 · a.weight',
      'Medium NUMERICALA value that is not finite was usedstep 5 · the whole model',
    ]);
    const [first, second] = [...host.querySelectorAll('h2')].map((heading) => heading.textContent);
    expect(first).toMatch(/^ ?Diagnosis1 critical 1 medium 1 notice $/);
    expect(second).toContain('Alerts');
    expect(part('critical-count')?.textContent).toBe('2 critical');
    expect(part('high-count')).toBeNull();
  });

  it('goes to its node and steps at a press, and shows at another why, and what to do', async () => {
    const { store } = await show([{ node: 5, name: 'b.weight' }]);
    expect(part('reasons')).toBeNull();
    await click(items()[0]);
    expect(store.cursor.value).toEqual({ key: 'tensor:b.weight', step: 130 });
    expect(items()[0]?.getAttribute('aria-current')).toBe('true');
    expect(part('reasons')).toBeNull();
    await click(part('reasons-toggle'));
    expect([...host.querySelectorAll('dt')].map((term) => term.textContent)).toEqual([
      ...['Evidence', 'Causes, the likeliest first', 'What to do', 'Why it may be normal'],
    ]);
    expect([...host.querySelectorAll('ol li')].map((line) => line.textContent)).toEqual([
      ...['the learning rate', 'the data'],
    ]);
    expect(part('reasons')?.textContent).toContain('Seen at step 131, by the rule nonfinite');
    expect(part('reasons-toggle')?.getAttribute('aria-expanded')).toBe('true');
    expect(part('reasons')?.parentElement?.id).toBe(part('reasons-toggle')?.getAttribute('aria-controls'));
  });

  it('folds what a finding explains below it, and hints, until they are unfolded or gone to', async () => {
    const { alerts, findings } = await show([{ id: 'root' }, HIDDEN, HINT]);
    expect(ids()).toEqual(['root']);
    expect(part('followers-fold')?.textContent).toContain('explains 1 more 1 high');
    await click(part('notices-fold'));
    expect(ids()).toEqual(['root', 'hint']);
    await act(() => {
      findings.reveal('finding hidden');
      alerts.visited.value = { id: 'finding hidden', place: { key: '', step: 0 }, told: '' };
    });
    expect(ids()).toEqual(['root', 'hidden', 'hint']);
    expect(host.querySelector('[aria-current=true]')?.getAttribute('data-finding')).toBe('hidden');
  });

  it('is, with the alerts, one stop for the Tab key, walked and unfolded by arrows', async () => {
    await show([{ id: 'root' }, HIDDEN]);
    const stops = () => [...host.querySelectorAll<HTMLElement>('.alert[tabindex="0"], .fold[tabindex="0"]')];
    expect(stops()).toEqual([items()[0]]);
    items()[0]?.focus();
    await press('ArrowRight');
    expect(part('reasons')).not.toBeNull();
    await press('ArrowLeft');
    expect(part('reasons')).toBeNull();
    await press('ArrowDown');
    expect(document.activeElement).toBe(part('followers-fold'));
    await press('ArrowRight');
    expect(ids()).toEqual(['root', 'hidden']);
    await press('End');
    expect(document.activeElement).toBe(part('alert'));
    expect(stops()).toEqual([part('alert')]);
    await press('ArrowUp');
    expect(document.activeElement).toBe(items()[1]);
  });

  it('shows whatever a file holds as text, shortened', async () => {
    const lines = Array.from({ length: 500 }, () => HOSTILE);
    const about = { text: HOSTILE, type: HOSTILE, name: HOSTILE, rule: HOSTILE, innocent: HOSTILE };
    await show([{ ...about, evidence: lines, causes: lines, actions: lines }]);
    await click(part('reasons-toggle'));
    expect(part('reasons')?.textContent).toContain('<img src=x');
    expect(part('alert-rail')?.textContent.length).toBeLessThan(15_000);
    expect(host.querySelector('img, script')).toBeNull();
    expect('pwned' in window).toBe(false);
  });

  it('folds as a part, which the browser remembers', async () => {
    await show([{}]);
    await click(part('diagnosis-fold'));
    expect(items()).toEqual([]);
    expect(part('alert')?.tabIndex).toBe(0);
    expect(localStorage.getItem('gradhealth.rail.diagnosis')).toBe('closed');
  });
});

describe('where there are no findings, the rail says', () => {
  it.each([
    ['that nobody looked, and what to do', [], { recorded: false }, 'findings-none', 'diagnose=True'],
    ['that nothing was found, and where', [], {}, 'findings-empty', 'Nothing found in steps 0–4,999.'],
    ['that there are hints alone', [HINT], {}, 'findings-empty', 'Nothing found in steps 0–4,999 but hints'],
  ] as const)('%s', async (_, found, about, testId, words) => {
    await show(found, about);
    expect(part(testId)?.textContent).toContain(words);
  });

  it('why they could not be loaded', async () => {
    const { findings } = await show(null);
    expect(part('diagnosis-fold')?.parentElement?.nextElementSibling?.textContent).toContain('Looking');
    await act(() => {
      findings.problem.value = HOSTILE;
    });
    expect(part('findings-problem')?.textContent).toContain('could not be loaded: <img');
    expect(host.querySelector('img, script')).toBeNull();
  });
});

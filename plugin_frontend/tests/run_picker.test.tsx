// @vitest-environment happy-dom
import fc from 'fast-check';
import { render } from 'preact';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Run } from '../src/contract.ts';
import { groupsOf, linesOf, remarkOf } from '../src/run_matching.ts';
import { RunPicker } from '../src/run_picker.tsx';
import { runOf } from './support/meta.ts';

const STATUSES: readonly Run['status'][] = ['ok', 'waiting', 'unreadable', 'none'];

const anyRuns = fc
  .array(
    fc.record({ label: fc.string({ unit: fc.constantFrom('a', 'B', 'c', ' ', '/') }), status: fc.nat(3) }),
  )
  .map((list) =>
    list.map(({ label, status }, i) => runOf({ name: `${i}`, label, status: STATUSES[status] ?? 'ok' })),
  );

describe('matching', () => {
  it('keeps exactly the runs with every word in their label, each once, in order of status', () => {
    fc.assert(
      fc.property(anyRuns, fc.string({ unit: fc.constantFrom('a', 'b', 'C', ' ') }), (runs, query) => {
        const kept = groupsOf(runs, query).flatMap((group) => group.runs);
        const words = query.toUpperCase().split(' ');
        const fits = (run: Run) =>
          words.every((word) => run.label.toUpperCase().split(word).length > 1 || word === '');
        const reference = STATUSES.flatMap((status) =>
          runs.filter((run) => run.status === status && fits(run)),
        );
        expect(kept).toEqual(reference);
      }),
    );
  });

  it('gives the lines a heading for each group and counts the runs through', () => {
    fc.assert(
      fc.property(anyRuns, (runs) => {
        const lines = linesOf(groupsOf(runs, ''));
        const places = lines.flatMap((line) => ('run' in line ? [line.place] : []));
        expect(places).toEqual(runs.map((_, i) => i));
        expect(lines.length - runs.length).toBe(new Set(runs.map((run) => run.status)).size);
      }),
    );
  });

  it('gives the reason why a run cannot be shown, shortened', () => {
    expect(remarkOf(runOf())).toBe('');
    expect(remarkOf(runOf({ status: 'unreadable', problem: 'Version 9.' }))).toBe('unreadable: Version 9.');
    expect(remarkOf(runOf({ problem: 'x'.repeat(5_000) })).length).toBeLessThan(200);
  });
});

describe('the picker', () => {
  let host: HTMLElement;
  let chosen: string[];
  beforeEach(() => {
    host = document.createElement('div');
    document.body.append(host);
    chosen = [];
  });
  afterEach(() => {
    render(null, host);
    host.remove();
  });

  const rendered = () => new Promise((resolve) => setTimeout(resolve, 20));
  const field = () => {
    const found = host.querySelector<HTMLInputElement>('[role=combobox]');
    if (found === null) throw new Error('expected a combobox, found none');
    return found;
  };
  const options = () => [...host.querySelectorAll<HTMLElement>('[role=option]')];
  const press = async (key: string) => {
    field().dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
    await rendered();
  };
  const type = async (text: string) => {
    field().value = text;
    field().dispatchEvent(new Event('input', { bubbles: true }));
    await rendered();
  };
  const active = () => document.getElementById(field().getAttribute('aria-activedescendant') ?? '');
  const show = (runs: readonly Run[], selected: string | null) => {
    render(
      <RunPicker
        label="Run"
        testId="p"
        runs={runs}
        selected={selected}
        choose={(name) => chosen.push(name)}
      />,
      host,
    );
  };
  const many = Array.from({ length: 5_000 }, (_, i) => runOf({ name: `n${i}`, label: `sweep lr=${i} seed` }));

  it('shows the current run, and says when it is gone', () => {
    show(many, 'n17');
    expect(field().value).toBe('sweep lr=17 seed');
    show(many, 'lost');
    expect(field().value).toBe('lost (gone)');
  });

  it('has few of thousands of runs in the page, the current one among them, all of them within reach of keys', async () => {
    show(many, 'n4000');
    await press('ArrowDown');
    expect(options().length).toBeLessThan(30);
    expect(active()?.dataset.run).toBe('n4000');
    expect(active()?.getAttribute('aria-selected')).toBe('true');
    expect(active()?.getAttribute('aria-posinset')).toBe('4001');
    await press('ArrowUp');
    await press('PageDown');
    expect(active()?.dataset.run).toBe('n4009');
    await press('Enter');
    expect(chosen).toEqual(['n4009']);
    expect(field().getAttribute('aria-expanded')).toBe('false');
  });

  it('narrows the runs down by the words typed, and takes the first of them', async () => {
    show(many, 'n1');
    await type('SEED 4321');
    expect(options().map((option) => option.dataset.run)).toEqual(['n4321']);
    expect(host.querySelector('[role=status]')?.textContent).toBe('1 run of 5,000');
    await press('Enter');
    expect(chosen).toEqual(['n4321']);
    await type('no such run');
    expect(options()).toEqual([]);
    await press('Enter');
    expect(chosen).toEqual(['n4321']);
    await press('Escape');
    expect(field().value).toBe('sweep lr=1 seed');
  });
});

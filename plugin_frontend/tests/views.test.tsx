// @vitest-environment happy-dom
import type { ComponentChildren } from 'preact';
import { render } from 'preact';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Api } from '../src/api.ts';
import { Figures } from '../src/figures.ts';
import { openAll } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { Message, Notices } from '../src/states.tsx';
import { Toolbar } from '../src/toolbar.tsx';
import { Tooltip, findingsOf } from '../src/tooltip.tsx';
import { TreeView } from '../src/tree.tsx';
import { host } from './support/host.ts';
import { GRADIENTS, WEIGHTS, metaOf, nodesFrom, runOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE = [
  '<img src=x onerror="window.pwned=1">',
  '</bdi></div><script>window.pwned=1</script>',
  '‮evil.weight',
  '&lt;b&gt;',
  'x'.repeat(5_000),
  'a\u0000b\nc\td',
  'toString',
  '__proto__',
  '',
];

function show(view: ComponentChildren): void {
  render(view, host);
}

function pageOf(names: readonly string[], parents: readonly number[]) {
  const store = storeOf(metaOf({ nodes: nodesFrom(names, parents) }));
  if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
  return { store, pointing: new Pointing(store) };
}

function items(): HTMLElement[] {
  return [...host.querySelectorAll<HTMLElement>('[role=treeitem]')];
}

const rendered = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('hostile names', () => {
  it('are text in the tree, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' })), { maxLength: 12 }),
        (names) => {
          const { store, pointing } = pageOf(['', ...names], [-1, ...names.map(() => 0)]);
          show(<TreeView store={store} pointing={pointing} />);
          expect(items().length).toBe(names.length + 1);
          for (const [i, name] of names.entries()) {
            const shown = items()[i + 1]?.querySelector('bdi');
            expect(shown?.textContent).toBe(name === '' ? '(no name)' : name);
            expect(shown?.children.length).toBe(0);
          }
          expect(host.querySelector('img, script, b')).toBeNull();
          show(null);
        },
      ),
      { numRuns: 40 },
    );
    expect('pwned' in window).toBe(false);
  });

  it('are text in the run picker, shortened so that it keeps its width', async () => {
    const { store } = pageOf([''], [-1]);
    store.receiveRuns([
      runOf(),
      ...HOSTILE.map((label, i) => runOf({ name: `n${i}`, label, status: 'none' })),
    ]);
    show(<Toolbar store={store} />);
    host.querySelector<HTMLElement>('[role=combobox]')?.click();
    await rendered();
    const options = [...host.querySelectorAll('[role=option]')].slice(0, HOSTILE.length);
    const labels = options.map((option) => option.querySelector('bdi')?.textContent ?? '');
    expect(labels).toContain('<img src=x onerror="window.pwned=1">');
    expect(Math.max(...labels.map((label) => label.length))).toBeLessThan(80);
    expect(host.querySelector('img, script, b')).toBeNull();
  });

  it('are text in messages, notices and the tooltip', () => {
    for (const problem of HOSTILE.slice(0, 4)) {
      const { store, pointing } = pageOf(['', problem], [-1, 0]);
      store.receiveRuns([runOf({ problem })]);
      store.refusal.value = problem;
      store.pointer.value = { cssX: 5, cssY: 20 };
      const figures = new Figures(new Api(new URL('http://host/')), store);
      show([
        <Notices key="n" store={store} />,
        <Tooltip key="t" store={store} pointing={pointing} figures={figures} />,
      ]);
      expect(host.querySelector('.path')?.textContent).toBe(problem);
      expect([...host.querySelectorAll('.notice')].map((notice) => notice.textContent)).toEqual([
        problem,
        problem,
      ]);
      store.receiveRuns([runOf({ status: 'unreadable', problem })]);
      show(<Message store={store} />);
      expect(host.querySelector('p')?.textContent).toBe(problem);
      expect(host.querySelector('img, script')).toBeNull();
      show(null);
    }
  });
});

describe('the tree', () => {
  const names = ['', 'a', 'b', 'a.x', 'a.y', 'b.z'];
  const parents = [-1, 0, 0, 1, 1, 2];
  const texts = () => items().map((item) => item.querySelector('bdi')?.textContent);
  const press = async (key: string) => {
    host.querySelector('[tabindex="0"]')?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    await rendered();
  };

  it('tells levels, places and folds, and has one stop for the tab key', () => {
    const { store, pointing } = pageOf(names, parents);
    show(<TreeView store={store} pointing={pointing} />);
    const told = items().map((item) =>
      ['aria-level', 'aria-posinset', 'aria-setsize', 'aria-expanded'].map((name) => item.getAttribute(name)),
    );
    expect(told).toEqual([
      ['1', '1', '1', 'true'],
      ['2', '1', '2', 'true'],
      ['3', '1', '2', null],
      ['3', '2', '2', null],
      ['2', '2', '2', 'true'],
      ['3', '1', '1', null],
    ]);
    expect(items().map((item) => item.tabIndex)).toEqual([0, -1, -1, -1, -1, -1]);
    expect(items().map((item) => item.dataset.node)).toEqual(['0', '1', '3', '4', '2', '5']);
  });

  it('is folded, unfolded and walked by the keys of an ARIA tree', async () => {
    const { store, pointing } = pageOf(names, parents);
    show(<TreeView store={store} pointing={pointing} />);
    items()[0]?.focus();
    await press('ArrowDown');
    expect(document.activeElement?.textContent).toContain('a');
    await press('ArrowLeft');
    expect(texts()).toEqual(['All tensors', 'a', 'b', 'z']);
    await press('Enter');
    expect(texts()).toEqual(['All tensors', 'a', 'x', 'y', 'b', 'z']);
    await press('ArrowRight');
    await press('ArrowDown');
    expect((document.activeElement as HTMLElement).dataset.node).toBe('4');
    await press('ArrowLeft');
    expect((document.activeElement as HTMLElement).dataset.node).toBe('1');
    await press('End');
    expect((document.activeElement as HTMLElement).dataset.node).toBe('5');
    await press('Home');
    await press(' ');
    expect(texts()).toEqual(['All tensors']);
    await press('*');
    expect(texts().length).toBe(1);
  });

  it('folds at a click', async () => {
    const { store, pointing } = pageOf(names, parents);
    show(<TreeView store={store} pointing={pointing} />);
    items()[1]?.click();
    await rendered();
    expect(texts()).toEqual(['All tensors', 'a', 'b', 'z']);
  });

  it('renders the rows in view and the active one of 10,000', () => {
    const many = ['', ...Array.from({ length: 10_000 }, (_, i) => `t${i}`)];
    const { store, pointing } = pageOf(
      many,
      many.map((_, i) => (i === 0 ? -1 : 0)),
    );
    store.scrollCssPx.value = 18 * 5_000;
    show(<TreeView store={store} pointing={pointing} />);
    const nodes = items().map((item) => Number(item.dataset.node));
    expect(nodes).toEqual([0, ...Array.from({ length: 20 }, (_, i) => 5_000 + i)]);
  });
});

describe('messages', () => {
  it('say for each state what is the matter', async () => {
    const { store } = pageOf([''], [-1]);
    show(<Message store={store} />);
    const said = async (status: 'none' | 'waiting' | 'unreadable', problem: string | null = null) => {
      store.receiveRuns([runOf({ status, problem }), runOf({ name: 'other' })]);
      store.chooseRun('exp1/gradhealth');
      await rendered();
      return host.textContent;
    };
    expect(await said('none')).toContain('No Grad Health data in this run');
    expect(await said('waiting')).toContain('Waiting for the first row');
    expect(await said('unreadable', 'Its schema is of version 9.')).toContain('Its schema is of version 9.');
  });

  it('hold three lines to copy when no run has data, also where there is no clipboard', async () => {
    const { store } = pageOf([''], [-1]);
    store.receiveRuns([runOf({ status: 'none' })]);
    show(<Message store={store} />);
    expect(host.querySelector('pre')?.textContent.split('\n')).toEqual([
      'from tb_gradhealth import GradHealthWriter',
      'optimizer = GradHealthWriter(optimizer, model, logdir="runs/exp1")',
      'tensorboard --logdir runs',
    ]);
    vi.stubGlobal('navigator', {});
    host.querySelector<HTMLElement>('[data-testid=copy]')?.click();
    await rendered();
    vi.unstubAllGlobals();
    expect(host.querySelector('[role=status]')?.textContent).toBe('Selected: press Ctrl+C');
  });
});

describe('notices', () => {
  it('say when only an overview of the run is there, and only then', async () => {
    const { store } = pageOf([''], [-1]);
    show(<Notices store={store} />);
    expect(host.querySelector('.notice')).toBeNull();
    store.receiveMeta(metaOf({ nodes: nodesFrom([''], [-1]), overview: true }));
    await rendered();
    expect(host.querySelector('.notice')?.textContent).toContain('Overview only');
  });
});

describe('the toolbar', () => {
  it('has a switch for streams only where there are several', async () => {
    const { store } = pageOf([''], [-1]);
    show(<Toolbar store={store} />);
    const has = (id: string) => host.querySelector(`[data-testid=${id}]`) !== null;
    expect(['stream', 'metric', 'view', 'scale'].map(has)).toEqual([false, true, true, true]);
    store.receiveMeta(metaOf({ revision: 2, streams: [GRADIENTS, WEIGHTS] }));
    await rendered();
    expect(has('stream')).toBe(true);
  });

  it('lists metrics in their groups, where there are several', async () => {
    const { store } = pageOf([''], [-1]);
    show(<Toolbar store={store} />);
    const groups = () =>
      [...host.querySelectorAll<HTMLOptGroupElement>('optgroup')].map(({ label, children }) => [
        label,
        [...children].map((option) => option.textContent),
      ]);
    expect(groups()).toEqual([
      ['Size', ['Norm']],
      ['Distribution', ['Mean']],
    ]);
    const [norm] = metaOf().metrics;
    if (norm === undefined) throw new Error('no metric');
    store.receiveMeta(metaOf({ revision: 2, metrics: [norm, { ...norm, name: 'rms', label: 'RMS' }] }));
    await rendered();
    expect(groups()).toEqual([]);
    expect(host.querySelectorAll('[data-testid=metric] option').length).toBe(2);
  });
});

describe('flags', () => {
  it('are told in words', () => {
    expect(findingsOf(0, 'weight')).toEqual([]);
    expect(findingsOf(1 | 2, 'weight')).toEqual(['NaN, +Inf in these steps']);
    expect(findingsOf(4 | 8 | 16, 'weight')).toEqual([
      '-Inf in these steps',
      'no weight in some or all steps',
      'still being recorded',
    ]);
  });
});

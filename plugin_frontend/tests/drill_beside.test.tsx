// @vitest-environment happy-dom
import { signal } from '@preact/signals';
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ToldFirst } from '../src/compare.tsx';
import type { Meta } from '../src/contract.ts';
import { Drill } from '../src/drill/drill.ts';
import { ExponentFeed } from '../src/drill/exponent_feed.ts';
import { LineFeed } from '../src/drill/line_feed.ts';
import { DrillPanel } from '../src/drill/panel.tsx';
import { RowFeed } from '../src/drill/row_feed.ts';
import { LinkedRun } from '../src/linked.ts';
import { Notices } from '../src/states.tsx';
import { Pointing } from '../src/pointing.ts';
import { Store } from '../src/store.ts';
import { host, part, settled } from './support/host.ts';
import { metaOf, nodesFrom, runOf } from './support/meta.ts';
import { noTiles } from './support/page.ts';

// The browser at hand has no such class, which the heatmap's view looks at as it is loaded.
vi.hoisted(() => {
  vi.stubGlobal('ResizeObserverEntry', function () {
    return undefined;
  });
});
vi.mock('../src/drill/chart_view.tsx', async (original) => ({
  ...(await original<object>()),
  ChartView: () => null,
}));

const SECOND = 'exp2/gradhealth';
const HOSTILE = '<img src=x onerror="window.pwned=1">';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Two runs: the second has 703 steps in cells of 3, and `b` as its first node. */
async function compared() {
  const store = new Store(noTiles());
  const nodes = nodesFrom(['', 'b', 'c'], [-1, 0, 0]);
  const second = metaOf({ run: SECOND, label: HOSTILE, steps: [0, 703], cell: 3, nodes });
  let answer: () => Promise<Meta> = () => Promise.resolve(second);
  const linked = new LinkedRun(store, noTiles(), { meta: () => answer() });
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 360, devicePixelRatio: 1 };
  store.receiveRuns([runOf(), runOf({ name: SECOND, label: HOSTILE })]);
  store.receiveMeta(metaOf());
  linked.start();
  linked.choose(SECOND);
  await settled();
  const asked: string[] = [];
  const api = {
    lines: (layer: { run: string }, shown: readonly number[], begin: number, end: number) => {
      asked.push(`lines ${layer.run} ${shown.join()} ${begin}-${end}`);
      return Promise.resolve({ edges: [0, 1], lines: [] });
    },
    rows: (run: string, _: string, node: number, begin: number, end: number) => {
      asked.push(`rows ${run} ${node} ${begin}-${end}`);
      return Promise.resolve({ rows: [], complete: true });
    },
    exponents: () => Promise.resolve(null),
  };
  const drill = new Drill(store, linked);
  const feeds = [
    new LineFeed(api, store, drill, signal(true), () => undefined),
    new RowFeed(api, store, drill, signal(true), () => undefined),
    new ExponentFeed(api, store, drill, signal(true), () => undefined),
  ] as const;
  for (const feed of feeds) feed.start();
  const pointing = new Pointing(store);
  const tell = (next: typeof answer) => {
    answer = next;
  };
  const show = async () => {
    const [lines, rows, exponents] = feeds;
    const views = { store, pointing, drill, lines, rows, exponents, theme: signal<'light'>('light') };
    await act(() => {
      render(<DrillPanel {...views} heatmap={{ current: null }} />, host);
    });
  };
  return { store, linked, drill, asked, pointing, tell, show };
}

describe('the drill-down of two runs', () => {
  it('opens the figures of the run that was clicked, at its own node, in the steps of the cell', async () => {
    const { store, drill, asked } = await compared();
    store.cursor.value = { key: 'module:b', step: 700 };
    // Of other kinds in the two trees, so not the same node.
    drill.enter('pointer', 'second');
    expect(drill.cell.value).toBeNull();
    store.cursor.value = { key: 'total:', step: 700 };
    await settled();
    expect(drill.cell.value).toEqual({ key: 'total:', node: 0, steps: [700, 703] });
    expect(asked).toContain(`rows ${SECOND} 0 700-703`);
    expect(asked).toContain(`lines ${SECOND} 0 0-703`);
    drill.enter('pointer');
    await vi.waitFor(() => {
      expect(asked.slice(-2).toSorted()).toEqual([
        'lines exp1/gradhealth 0 0-5000',
        'rows exp1/gradhealth 0 700-710',
      ]);
    });
  });

  it('names the run, and says where it lacks the row', async () => {
    const { store, linked, drill, show } = await compared();
    store.cursor.value = { key: 'total:', step: 100 };
    drill.enter('pointer', 'second');
    await show();
    expect(part('drill-run-name')?.textContent).toBe(HOSTILE);
    expect(part('drill')?.getAttribute('aria-label')).toContain('run B, All tensors');
    const letters = [...host.querySelectorAll<HTMLInputElement>('[name=drill-run]')];
    expect(letters.map(({ value, checked }) => [value, checked])).toEqual([
      ['A', false],
      ['B', true],
    ]);
    store.cursor.value = { key: 'tensor:a.weight', step: 100 };
    await settled();
    expect(host.textContent).toContain('Run B has no such tensor or steps.');
    expect(part('line')?.textContent).toContain('not in this run');
    await act(() => {
      letters[0]?.click();
    });
    expect(part('drill-run-name')?.textContent).toBe('exp1');
    expect(part('drill-path')?.textContent).toBe('a.weight');
    await act(() => {
      drill.second.value = true;
      linked.choose(null);
    });
    expect(part('drill-run-name')).toBeNull();
    expect(drill.subject.value).toBe(store);
  });

  it('has in the tooltip the run that is pointed at first, and each figure with its run', async () => {
    const { store, linked } = await compared();
    const where = { row: 0, level: 0, index: 5 };
    await act(() => {
      render(<ToldFirst store={store} linked={linked} pointed={where} />, host);
    });
    expect(host.textContent).toBe('A exp1');
    await act(() => {
      linked.pointed.value = true;
    });
    expect(host.textContent).toBe(`B ${HOSTILE}: loadingA exp1, in the same place:`);
  });
});

describe('an outage while two runs are shown', () => {
  it('leaves both pictures and is told once; when it is over, both are asked for anew', async () => {
    const { store, linked, tell } = await compared();
    await act(() => {
      render(<Notices store={store} />, host);
    });
    const shown = [store.scene.value, linked.scene.value];
    tell(() => Promise.reject(new TypeError('down')));
    await act(() => {
      store.connection.value = 'gone';
    });
    expect(host.querySelectorAll('[data-testid=notice]').length).toBe(1);
    expect([store.screen.value, linked.obstacle.value]).toEqual(['heatmap', null]);
    expect([store.scene.value, linked.scene.value]).toEqual(shown);
    const grown = metaOf({ run: SECOND, steps: [0, 900], cell: 3, revision: 1 });
    tell(() => Promise.resolve(grown));
    const forget = vi.spyOn(linked.tiles, 'forget');
    await act(() => {
      store.connection.value = 'back';
    });
    await settled();
    expect([linked.meta.value?.steps, linked.obstacle.value]).toEqual([[0, 900], null]);
    expect(forget).toHaveBeenCalledWith(SECOND);
    expect(part('notice')?.textContent).toBe('TensorBoard answers again.');
  });

  it('or a second run that is slow leaves the first as it is, and says that it loads', async () => {
    const { store, linked, tell } = await compared();
    const scene = store.scene.value;
    let come: (meta: Meta) => void = () => undefined;
    tell(() => new Promise((resolve) => (come = resolve)));
    store.receiveRuns([runOf(), runOf({ name: SECOND }), runOf({ name: 'slow' })]);
    linked.choose('slow');
    await settled();
    expect([linked.obstacle.value, linked.scene.value, store.screen.value]).toEqual([
      'Loading…',
      null,
      'heatmap',
    ]);
    expect(store.scene.value?.scale).toEqual(scene?.scale);
    come(metaOf({ run: 'slow', steps: [0, 100] }));
    await settled();
    expect(linked.obstacle.value).toBeNull();
    expect(linked.scene.value?.grid.steps).toEqual([0, 100]);
  });
});

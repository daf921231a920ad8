import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Layer, Unreachable } from '../src/api.ts';
import type { Metric, NodeValues } from '../src/contract.ts';
import { Pointing } from '../src/pointing.ts';
import { Ranking } from '../src/ranking.ts';
import type { Store } from '../src/store.ts';
import { metaOf, runOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

/** Nodes 0…5: all, a, b, a.weight, a.bias, b.weight. */
const VALUES: Record<string, (number | null)[]> = {
  norm: [9, 1, 5, 0.1, 0.9, 5],
  mean: [0, -3, 2, -1, -3, 2],
  nonfinite: [0, 0, 0, 0, 0, 0],
};

const metric = (name: string, kind: Metric['kind']): Metric => ({
  ...{ name, label: name, unit: '', kind, scale: 'linear', meaning: '', group: '' },
});
const meta = metaOf({
  metrics: [metric('norm', 'magnitude'), metric('mean', 'signed'), metric('nonfinite', 'count')],
});

interface Asked {
  metric: string;
  steps: [number, number];
  aborted: () => boolean;
}

function openPage() {
  const asked: Asked[] = [];
  let answer: (layer: Layer) => Promise<NodeValues> = ({ metric: name }) =>
    Promise.resolve({ steps: [0, 10], values: VALUES[name] ?? [] });
  const store = storeOf(meta, { heightDevicePx: 180 });
  const failures: unknown[] = [];
  const ranking = new Ranking(
    {
      values: (layer, begin, end, signal) => {
        asked.push({ metric: layer.metric, steps: [begin, end], aborted: () => signal?.aborted === true });
        return answer(layer);
      },
    },
    store,
    (error) => {
      failures.push(error);
      if (error instanceof Unreachable) store.connection.value = 'gone';
    },
  );
  const stop = ranking.start();
  const tell = (next: typeof answer) => {
    answer = next;
  };
  return { store, pointing: new Pointing(store), ranking, asked, failures, tell, stop };
}

const names = (store: Store) => Array.from(store.nodes.value, (node) => meta.nodes.name[node] ?? '');
const MODEL = ['', 'a', 'a.weight', 'a.bias', 'b', 'b.weight'];
const BY_NORM = ['', 'b', 'b.weight', 'a', 'a.bias', 'a.weight'];
const settle = (ms = 1_000) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('an order', () => {
  it('is that of the model, for nothing, until another is chosen', async () => {
    const { store, asked } = openPage();
    await settle();
    expect([names(store), asked.length]).toEqual([MODEL, 0]);
  });

  it('by the worst is by what is shown over the steps in view; a flat one has the tensors alone', async () => {
    const { store, asked, ranking } = openPage();
    store.order.value = { by: 'worst' };
    await settle();
    expect(names(store)).toEqual(BY_NORM);
    expect(asked.map(({ metric: name, steps }) => [name, steps])).toEqual([
      ['norm', [0, 5_000]],
      ['nonfinite', [0, 5_000]],
    ]);
    expect(ranking.ranked.value?.steps).toEqual([0, 10]);
    store.order.value = { by: 'worst', flat: true };
    expect(names(store)).toEqual(['b.weight', 'a.bias', 'a.weight']);
    await settle();
    expect(asked.length).toBe(2);
    store.order.value = { by: 'model' };
    expect(names(store)).toEqual(MODEL);
  });

  it('of a signed metric is by magnitude, and nodes with NaN come before it', async () => {
    const { store, tell } = openPage();
    store.chooseMetric('mean');
    store.order.value = { by: 'worst' };
    await settle();
    expect(names(store)).toEqual(['', 'a', 'a.bias', 'a.weight', 'b', 'b.weight']);
    tell(({ metric: name }) =>
      Promise.resolve({
        steps: [0, 10],
        values: name === 'nonfinite' ? [1, 0, 1, 0, 0, 1] : (VALUES[name] ?? []),
      }),
    );
    store.chooseMetric('norm');
    store.receiveMeta({ ...meta, revision: 2 });
    store.chooseMetric('mean');
    await settle();
    expect(names(store).slice(0, 3)).toEqual(['', 'b', 'b.weight']);
  });

  it('by a metric is about the cell that was clicked, and goes both ways', async () => {
    const { store, asked, pointing } = openPage();
    const cell = pointing.cellAt(501, 5);
    if (cell !== null) pointing.placeCursor(cell);
    store.order.value = { by: 'metric', metric: 'norm', descending: false };
    await settle();
    expect(names(store)).toEqual(['', 'a', 'a.weight', 'a.bias', 'b', 'b.weight']);
    expect(asked[0]?.steps).toEqual([2_500, 2_510]);
    store.order.value = { by: 'metric', metric: 'norm' };
    await settle();
    expect([names(store), asked.length]).toEqual([BY_NORM, 2]);
  });

  it('is that of the model, and says so, while the run lacks the metric', async () => {
    const { store, asked, ranking } = openPage();
    store.order.value = { by: 'metric', metric: 'norm' };
    await settle();
    expect(names(store)).toEqual(BY_NORM);
    const without = meta.metrics.filter(({ name }) => name !== 'norm');
    store.receiveRuns([runOf(), runOf({ name: 'other' })]);
    store.chooseRun('other');
    store.receiveMeta({ ...meta, run: 'other', metrics: without });
    await settle();
    expect([names(store), ranking.ranked.value, ranking.lacking.value]).toEqual([MODEL, null, 'norm']);
    expect([asked.length, ranking.outdated.value]).toEqual([2, false]);
    store.chooseRun('exp1/gradhealth');
    store.receiveMeta(meta);
    await settle();
    expect([names(store), ranking.lacking.value]).toEqual([BY_NORM, null]);
  });

  it('stays while somebody points and moves the cursor, until it is asked for again', async () => {
    const { store, asked, pointing, ranking } = openPage();
    store.cursor.value = { key: 'total:', step: 100 };
    store.order.value = { by: 'metric', metric: 'norm' };
    await settle();
    expect([asked.length, ranking.outdated.value]).toEqual([2, false]);
    store.pointer.value = { cssX: 300, cssY: 5 };
    pointing.moveCursor(1, 5);
    await settle();
    expect([asked.length, ranking.outdated.value]).toEqual([2, true]);
    ranking.again();
    await settle();
    expect(asked.at(-1)?.steps).toEqual([150, 160]);
    expect(ranking.outdated.value).toBe(false);
  });

  it('stays while the run grows, until it is asked for again', async () => {
    const { store, asked, ranking } = openPage();
    store.order.value = { by: 'worst' };
    await settle();
    store.receiveMeta({ ...meta, revision: 2, steps: [0, 5_010] });
    await settle(10_000);
    expect([asked.length, ranking.outdated.value]).toEqual([2, true]);
    ranking.again();
    await settle();
    expect([asked.length, asked[2]?.steps, ranking.outdated.value]).toEqual([4, [0, 5_010], false]);
  });

  it('follows a window once it has settled', async () => {
    const { store, asked } = openPage();
    store.order.value = { by: 'worst' };
    await settle();
    for (let i = 0; i < 10; i++) {
      store.window.value = { start: 1_000 + i, end: 2_000 + i };
      await settle(50);
    }
    expect(asked.length).toBe(2);
    await settle();
    expect(asked.slice(2).map(({ steps }) => steps)).toEqual([
      [1_009, 2_009],
      [1_009, 2_009],
    ]);
  });
});

describe('a request', () => {
  it('that is overtaken is given up, and its answer means nothing any more', async () => {
    const { store, asked, tell } = openPage();
    const late: (() => void)[] = [];
    tell(({ metric: name }) =>
      name === 'mean'
        ? Promise.resolve({ steps: [0, 10], values: VALUES.mean ?? [] })
        : new Promise((resolve) =>
            late.push(() => {
              resolve({ steps: [0, 10], values: VALUES.nonfinite ?? [] });
            }),
          ),
    );
    store.order.value = { by: 'worst' };
    await settle();
    expect(names(store)).toEqual(MODEL);
    store.order.value = { by: 'model' };
    expect(asked.every(({ aborted }) => aborted())).toBe(true);
    for (const come of late) come();
    await settle();
    expect([names(store), store.outline.ranks.value]).toEqual([MODEL, null]);
  });

  it('that reached nobody is sent again when TensorBoard is back, and once only', async () => {
    const { store, asked, tell, failures } = openPage();
    tell(() => Promise.reject(new Unreachable('down')));
    store.order.value = { by: 'worst' };
    await settle(30_000);
    expect([asked.length, failures.length, names(store)]).toEqual([2, 1, MODEL]);
    tell(({ metric: name }) => Promise.resolve({ steps: [0, 10], values: VALUES[name] ?? [] }));
    store.connection.value = 'back';
    await settle();
    store.connection.value = 'ok';
    await settle();
    expect([asked.length, names(store)]).toEqual([4, BY_NORM]);
  });

  it('whose answer has other nodes than the page orders nothing', async () => {
    const { store, tell } = openPage();
    tell(() => Promise.resolve({ steps: [0, 10], values: [1, 2, 3] }));
    store.order.value = { by: 'worst' };
    await settle();
    expect(names(store)).toEqual(MODEL);
  });
});

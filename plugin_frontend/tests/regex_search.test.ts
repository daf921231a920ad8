import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RegexSearch, type Searcher } from '../src/regex_search.ts';
import type { Question } from '../src/regex_worker.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { metaOf, nodesFrom, runOf } from './support/meta.ts';

/** A worker that answers after `delay` ms as its contract says, or never. */
class FakeWorker implements Searcher {
  onmessage: Searcher['onmessage'] = null;
  onerror: Searcher['onerror'] = null;
  ended = false;
  readonly questions: Question[] = [];
  private names: readonly string[] = [];

  constructor(
    private readonly delay: number,
    loading: number,
  ) {
    setTimeout(() => {
      if (!this.ended) this.onmessage?.(new MessageEvent('message', { data: null }));
    }, loading);
  }

  postMessage(question: Question): void {
    this.questions.push(question);
    this.names = question.names ?? this.names;
    const regex = new RegExp(question.source, question.flags);
    const found = Uint8Array.from(this.names, (name) => (regex.test(name) ? 1 : 0));
    if (Number.isFinite(this.delay))
      setTimeout(() => {
        if (!this.ended) this.onmessage?.(new MessageEvent('message', { data: found }));
      }, this.delay);
  }

  terminate(): void {
    this.ended = true;
  }
}

function openPage(delay: number | (() => Searcher), loading = 0) {
  const noEvents = { changed: () => undefined, failed: () => undefined };
  const store = new Store(new TileStore(() => Promise.resolve([]), noEvents));
  store.receiveRuns([runOf()]);
  store.receiveMeta(
    metaOf({ nodes: nodesFrom(['', 'a', 'b', 'a.weight', 'a.bias', 'b.weight'], [-1, 0, 0, 1, 1, 2]) }),
  );
  const workers: FakeWorker[] = [];
  const make = () => {
    if (typeof delay === 'function') return delay();
    const worker = new FakeWorker(delay, loading);
    workers.push(worker);
    return worker;
  };
  new RegexSearch(store, make).start();
  const type = (text: string) => (store.filter.value = { text, kinds: [] });
  return { store, workers, type };
}

const rows = (store: Store) => Array.from(store.nodes.value);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a regular expression', () => {
  it('filters once the worker has answered, which gets the names once', async () => {
    const { store, workers, type } = openPage(10);
    expect(workers.length).toBe(0);
    type('/^a\\./');
    expect(rows(store)).toEqual([0, 1, 3, 4, 2, 5]);
    await vi.advanceTimersByTimeAsync(20);
    expect(rows(store)).toEqual([0, 1, 3, 4]);
    type('/WEIGHT$/i');
    await vi.advanceTimersByTimeAsync(20);
    expect(rows(store)).toEqual([0, 1, 3, 2, 5]);
    expect(workers.map(({ questions }) => questions.map(({ names }) => names?.length ?? null))).toEqual([
      [6, null],
    ]);
  });

  it('that takes too long is ended, says so and filters nothing; the next one works', async () => {
    const { store, workers, type } = openPage(Number.POSITIVE_INFINITY);
    type('/(a+)+$/');
    await vi.advanceTimersByTimeAsync(1_000);
    expect([workers[0]?.ended, rows(store).length]).toEqual([true, 6]);
    expect(store.outline.problem.value).toMatch(/takes too long/);
    type('/b/');
    expect(workers.length).toBe(2);
    type('weight');
    expect([store.outline.problem.value, rows(store)]).toEqual([null, [0, 1, 3, 2, 5]]);
  });

  it('ends the one before it that is still searched', async () => {
    const { store, workers, type } = openPage(100);
    type('/a/');
    await vi.advanceTimersByTimeAsync(50);
    type('/b\\./');
    await vi.advanceTimersByTimeAsync(50);
    expect([workers[0]?.ended, rows(store).length]).toEqual([true, 6]);
    await vi.advanceTimersByTimeAsync(100);
    expect(rows(store)).toEqual([0, 2, 5]);
  });

  it('has its time from when the worker has been loaded', async () => {
    const { store, type } = openPage(3_200, 3_000);
    type('/^a\\./');
    await vi.advanceTimersByTimeAsync(3_150);
    expect(store.outline.problem.value).toBeNull();
    await vi.advanceTimersByTimeAsync(100);
    expect([store.outline.problem.value, rows(store)]).toEqual([null, [0, 1, 3, 4]]);
  });

  it('says so where there can be no worker', () => {
    const { store, type } = openPage(() => {
      throw new Error('blocked by a policy');
    });
    type('/a/');
    expect(store.outline.problem.value).toMatch(/blocked by a policy/);
    expect(rows(store).length).toBe(6);
  });
});

import { describe, expect, it } from 'vitest';
import type { Note, Notes } from '../src/contract.ts';
import { NoteFeed } from '../src/note_feed.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { metaOf, runOf } from './support/meta.ts';

const PAGE = 10;

function note(step: number): Note {
  return { step, kind: 'skipped', tensors: [], more: 0, values: new Map() };
}

/** A backend with these notes that answers in pages, and a page that shows the run. */
function pageOf(steps: readonly number[], fail: () => Error | null = () => null) {
  const asked: unknown[][] = [];
  const failures: unknown[] = [];
  const api = {
    notes(run: string, stream: string, begin: number, end: number): Promise<Notes> {
      asked.push([run, stream, begin, end]);
      const error = fail();
      if (error !== null) return Promise.reject(error);
      const found = steps.filter((step) => step >= begin && step < end).map(note);
      return Promise.resolve({ notes: found.slice(0, PAGE), complete: found.length <= PAGE });
    },
  };
  const tiles = new TileStore(() => Promise.resolve([]), {
    changed: () => undefined,
    failed: () => undefined,
  });
  const store = new Store(tiles);
  new NoteFeed(api, store, (error) => failures.push(error)).start();
  store.receiveRuns([runOf()]);
  return { store, asked, failures };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('the notes of a run', () => {
  it('are those of its first stream, up to the end of the run, and come anew with each revision', async () => {
    const { store, asked } = pageOf([3, 5_000]);
    store.receiveMeta(metaOf());
    await settled();
    expect(asked).toEqual([['exp1/gradhealth', 'gradients', 0, 5_001]]);
    expect(store.notes.value?.notes.map(({ step }) => step)).toEqual([3, 5_000]);
    store.chooseStream('other');
    store.receiveMeta(metaOf({ revision: 2, steps: [0, 5_010] }));
    await settled();
    expect(asked.length).toBe(2);
    expect(store.marks.value.length).toBe(2);
  });

  it('are fetched page by page, none twice and none left out', async () => {
    const steps = Array.from({ length: 37 }, (_, i) => 7 * Math.floor(i / 3));
    const { store, asked } = pageOf(steps);
    store.receiveMeta(metaOf());
    await settled();
    expect(store.notes.value).toMatchObject({ complete: true });
    expect(store.notes.value?.notes.map(({ step }) => step)).toEqual(steps);
    expect(asked.length).toBeGreaterThan(3);
  });

  it('end where there are too many, and say so', async () => {
    for (const steps of [Array.from({ length: 500 }, (_, i) => i), Array.from({ length: 50 }, () => 9)]) {
      const { store, asked } = pageOf(steps);
      store.receiveMeta(metaOf());
      await settled();
      expect(store.notes.value?.complete).toBe(false);
      expect(asked.length).toBeLessThanOrEqual(10);
    }
  });

  it('are forgotten with the run, and a failure is reported', async () => {
    let error: Error | null = null;
    const { store, failures } = pageOf([1], () => error);
    store.receiveMeta(metaOf());
    await settled();
    expect(store.marks.value.length).toBe(1);
    error = new Error('no');
    store.chooseRun('other');
    expect(store.marks.value).toEqual([]);
    store.receiveMeta(metaOf({ run: 'other' }));
    await settled();
    expect(failures).toEqual([error]);
  });
});

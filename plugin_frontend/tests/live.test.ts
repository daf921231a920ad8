import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Api } from '../src/api.ts';
import { Live } from '../src/live.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { metaOf, runOf } from './support/meta.ts';

const RUN = 'exp1/gradhealth';
const NAMED = `meta?run=${encodeURIComponent(RUN)}`;

/** A backend with one run, whose revision and health the test sets. */
function start(answers = true, refuses: string | null = null, first = RUN) {
  const backend = { revision: 1, answers, refuses, visible: true };
  const asked: string[] = [];
  const api = new Api(new URL('http://host/'), (url) => {
    asked.push(url.pathname.slice(1) + url.search);
    if (!backend.answers) return Promise.reject(new TypeError('Failed to fetch'));
    if (url.pathname === '/runs')
      return Promise.resolve(Response.json({ runs: [runOf({ revision: backend.revision })] }));
    if (backend.refuses !== null)
      return Promise.resolve(Response.json({ error: backend.refuses }, { status: 422 }));
    const run = url.searchParams.get('run') ?? first;
    return Promise.resolve(Response.json(metaOf({ run, revision: backend.revision })));
  });
  const tiles = new TileStore(() => Promise.resolve([]), {
    changed: () => undefined,
    failed: () => undefined,
  });
  const store = new Store(tiles);
  const live = new Live(store, api, () => backend.visible);
  live.start();
  return { backend, asked, store, live };
}

const seconds = (count: number) => vi.advanceTimersByTimeAsync(1_000 * count);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('polling', () => {
  it('asks for the runs every five seconds and for the tree when there is something new', async () => {
    const { backend, asked, store } = start();
    await seconds(0.1);
    expect(asked).toEqual(['meta', 'runs']);
    expect(store.screen.value).toBe('heatmap');
    await seconds(10);
    expect(asked).toEqual(['meta', 'runs', 'runs', 'runs']);
    backend.revision = 2;
    await seconds(5);
    expect(asked.slice(4)).toEqual(['runs', NAMED]);
    expect(store.meta.value?.revision).toBe(2);
  });

  it('asks for the tree beside the runs, and again where it is that of another one', async () => {
    const { asked, store } = start(true, null, 'exp0/gradhealth');
    await seconds(0.1);
    expect(asked).toEqual(['meta', 'runs', NAMED]);
    expect([store.screen.value, store.meta.value?.run]).toEqual(['heatmap', RUN]);
  });

  it('stops while nobody can see the page and goes on when woken', async () => {
    const { backend, asked, live } = start();
    await seconds(0.1);
    backend.visible = false;
    await seconds(60);
    expect(asked.length).toBe(2);
    live.wake();
    expect(asked.length).toBe(2);
    backend.visible = true;
    live.wake();
    live.wake();
    await seconds(0.1);
    expect(asked.length).toBe(3);
  });
});

describe('an outage', () => {
  it('is told, tried again, and over when the server answers: then figures are fetched anew', async () => {
    const { backend, asked, store } = start();
    await seconds(0.1);
    backend.answers = false;
    await seconds(5);
    expect(store.connection.value).toBe('gone');
    expect(store.screen.value).toBe('heatmap');
    asked.length = 0;
    backend.answers = true;
    await seconds(5);
    expect(asked).toEqual(['runs', NAMED]);
    expect(store.connection.value).toBe('back');
    await seconds(4);
    expect(store.connection.value).toBe('ok');
  });

  it('at the very start is told as well', async () => {
    const { backend, store } = start(false);
    await seconds(0.1);
    expect([store.connection.value, store.screen.value]).toEqual(['gone', 'loading']);
    backend.answers = true;
    await seconds(5);
    expect([store.connection.value, store.screen.value]).toEqual(['back', 'heatmap']);
  });
});

describe('a refusal', () => {
  it('is shown in the backend’s words, tried again, and forgotten when it is over', async () => {
    const { backend, store } = start(true, 'expected a schema of version 1, got 9: update tb_gradhealth');
    await seconds(0.1);
    expect(store.screen.value).toBe('refused');
    expect(store.refusal.value).toBe(backend.refuses);
    backend.refuses = null;
    await seconds(5);
    expect([store.screen.value, store.refusal.value]).toEqual(['heatmap', null]);
  });
});

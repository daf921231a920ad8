import { signal } from '@preact/signals';
import { describe, expect, it, vi } from 'vitest';
import type { Overview, Series } from '../src/contract.ts';
import { figuresAt, groupsOf, scaleOf, skippedAt } from '../src/overview/groups.ts';
import { OverviewFeed } from '../src/overview/overview_feed.ts';
import { MOST_STRETCH, stretchOf, transformOf } from '../src/overview/sparkline.ts';
import { type StepScale, devicePxAt } from '../src/scales.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { metaOf, runOf } from './support/meta.ts';

function series(name: string, kind: Series['kind'], mean: Series['mean'] = [1, 2]): Series {
  return { name, label: name, kind, mean, min: mean, max: mean };
}

describe('groups of the overview', () => {
  it('hold what has one unit, and other figures alone', () => {
    const all = [
      series('applied', 'norm'),
      series('before clipping', 'norm'),
      series('loss', 'loss'),
      series('lr', 'rate'),
      series('lr bias', 'rate'),
      series('temperature', 'other'),
      series('accuracy', 'other'),
    ];
    expect(groupsOf(all).map(({ label, series }) => [label, ...series.map(({ name }) => name)])).toEqual([
      ['Gradient norm', 'applied', 'before clipping'],
      ['loss', 'loss'],
      ['Learning rate', 'lr', 'lr bias'],
      ['temperature', 'temperature'],
      ['accuracy', 'accuracy'],
    ]);
    expect(groupsOf([])).toEqual([]);
  });

  it('show norms by decades and what was logged as it is', () => {
    const kinds = groupsOf([series('n', 'norm'), series('l', 'loss')]).map((group) => scaleOf(group).kind);
    expect(kinds).toEqual(['log', 'linear']);
  });

  it('tell the figures of a step, and without one the last there are', () => {
    const edges = [0, 10, 20, 30];
    const band = series('loss', 'loss', [3, 2, null]);
    expect(figuresAt(edges, band, 9)?.mean).toBe(3);
    expect(figuresAt(edges, band, 25)?.mean).toBeNull();
    expect(figuresAt(edges, band, 30)).toBeNull();
    expect(figuresAt(edges, band, null)?.mean).toBe(2);
    expect(figuresAt(edges, series('x', 'loss', [null, null, null]), null)).toBeNull();
    expect(skippedAt({ edges, series: [], skipped: [0, 2, 1] }, 12)).toEqual({ inView: 3, here: 2 });
    expect(skippedAt({ edges, series: [], skipped: [0, 2, 1] }, null)).toEqual({ inView: 3, here: 0 });
  });
});

describe('a picture of lines that is moved along', () => {
  const scale = (start: number, end: number, widthDevicePx = 1_000): StepScale => ({
    ...{ start, end, widthDevicePx, level: 0, cellSteps: 1 },
  });

  it.each([scale(150, 250), scale(120, 170), scale(0, 400)])(
    'has every step where it is drawn anew: %o',
    (shown) => {
      const drawn = scale(100, 200);
      const [, left, factor] =
        /^translateX\((.*)px\) scaleX\((.*)\)$/.exec(transformOf(drawn, shown, 2)) ?? [];
      for (const step of [100, 130, 200]) {
        const cssPx = Number(left) + (devicePxAt(drawn, step) / 2) * Number(factor);
        expect(cssPx).toBeCloseTo(devicePxAt(shown, step) / 2);
      }
    },
  );

  it('stands still where the steps do, and is not stretched without end', () => {
    expect(transformOf(scale(100, 200), scale(100, 200), 1)).toBe('');
    expect(stretchOf(scale(100, 200), scale(500, 600))).toBe(1);
    expect(stretchOf(scale(100, 200), scale(100, 110))).toBeGreaterThan(MOST_STRETCH);
    expect(stretchOf(scale(100, 200), scale(0, 1_000))).toBeGreaterThan(MOST_STRETCH);
    expect(stretchOf(scale(100, 200), scale(100, 200, 900))).toBe(Infinity);
  });
});

describe('the overview feed', () => {
  it('follows the window and the run, and asks nothing while folded or hidden', async () => {
    vi.useFakeTimers();
    const tiles = new TileStore(() => Promise.resolve([]), {
      changed: () => undefined,
      failed: () => undefined,
    });
    const store = new Store(tiles);
    store.size.value = { widthDevicePx: 1_000, heightDevicePx: 360, devicePixelRatio: 2 };
    store.receiveRuns([runOf()]);
    const answer: Overview = { edges: [0, 5_000], series: [series('norm', 'norm', [1])], skipped: [0] };
    const overview = vi.fn<(...args: unknown[]) => Promise<Overview>>(() => Promise.resolve(answer));
    const visible = signal(true);
    const feed = new OverviewFeed({ overview }, store, visible, vi.fn());
    const stop = feed.start();
    const asked = () => overview.mock.calls.map((call) => call.slice(0, 4));
    expect(asked()).toEqual([]);
    store.receiveMeta(metaOf());
    await vi.advanceTimersByTimeAsync(200);
    expect(asked(), 'ahead of the first picture').toEqual([]);
    store.pictured.value = true;
    await vi.advanceTimersByTimeAsync(200);
    expect(asked()).toEqual([['exp1/gradhealth', 0, 5_000, 500]]);
    expect(feed.overview.value).toBe(answer);
    store.receiveMeta(metaOf({ revision: 2, steps: [0, 6_000] }));
    await vi.advanceTimersByTimeAsync(200);
    expect(asked().slice(1)).toEqual([['exp1/gradhealth', 0, 6_000, 500]]);
    feed.open.value = false;
    store.zoomTo({ start: 1_000, end: 2_000 });
    await vi.advanceTimersByTimeAsync(200);
    visible.value = false;
    feed.open.value = true;
    await vi.advanceTimersByTimeAsync(200);
    expect(asked().length).toBe(2);
    visible.value = true;
    await vi.advanceTimersByTimeAsync(200);
    expect(asked().slice(2)).toEqual([['exp1/gradhealth', 1_000, 2_000, 500]]);
    stop();
    vi.useRealTimers();
  });
});

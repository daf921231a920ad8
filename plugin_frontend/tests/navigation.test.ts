import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Navigation } from '../src/navigation.ts';
import { Pointing } from '../src/pointing.ts';
import { pinched, stepAt, stepScale } from '../src/scales.ts';
import type { Store } from '../src/store.ts';
import { NO_TRAIL, back, moved } from '../src/trail.ts';
import { metaOf, runOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

/** A page with one run of 5,000 steps in cells of 10, laid out at 1000 × 180 pixels; `clock.ms` is the time. */
function openPage() {
  const store = storeOf(metaOf(), { heightDevicePx: 180 });
  const clock = { ms: 0 };
  const navigation = new Navigation(store, new Pointing(store), () => clock.ms);
  navigation.start();
  const show = (start: number, end: number, pauseMs = 10_000) => {
    clock.ms += pauseMs;
    store.zoomTo({ start, end });
  };
  return { store, navigation, clock, show };
}

describe('the way back', () => {
  it('leads through where the view stood still, and ends at the whole run', () => {
    const { store, navigation, show } = openPage();
    expect(navigation.canGoBack.value).toBe(false);
    show(0, 1_000);
    show(100, 1_100, 50);
    show(200, 1_200, 50);
    show(500, 700);
    const seen = [];
    while (navigation.canGoBack.value) {
      navigation.back();
      seen.push(store.window.value);
    }
    expect(seen).toEqual([{ start: 200, end: 1_200 }, null]);
    navigation.back();
    expect(store.window.value).toBeNull();
  });

  it('is that of the run', () => {
    const { store, navigation, show } = openPage();
    show(0, 1_000);
    store.receiveRuns([runOf(), runOf({ name: 'other' })]);
    store.chooseRun('other');
    expect(navigation.canGoBack.value).toBe(false);
  });

  it('is not lengthened by new figures, which leave the window where it is', () => {
    const { store, navigation, show, clock } = openPage();
    show(0, 1_000);
    navigation.back();
    clock.ms += 10_000;
    store.zoomTo({ start: 10, end: 500 });
    clock.ms += 10_000;
    for (let i = 1; i < 4; i++) store.receiveMeta(metaOf({ revision: 1 + i, steps: [0, 5_000 + 100 * i] }));
    navigation.back();
    expect([store.window.value, navigation.canGoBack.value]).toEqual([null, false]);
  });

  it('forgets the oldest of very many', () => {
    let trail = NO_TRAIL;
    for (let i = 1; i <= 200; i++) trail = moved(trail, { start: i, end: i + 1 }, 1_000 * i);
    expect(trail.past.length).toBe(50);
    expect(back(trail)?.present).toEqual({ start: 199, end: 200 });
    expect(back(NO_TRAIL)).toBeNull();
  });
});

describe('following', () => {
  const grow = (store: Store, end: number) => {
    store.receiveMeta(metaOf({ revision: end, steps: [0, end] }));
  };

  it('keeps the width and moves with the end, until somebody looks elsewhere', () => {
    const { store, navigation, show } = openPage();
    show(1_000, 2_000);
    grow(store, 5_100);
    expect(store.window.value).toEqual({ start: 1_000, end: 2_000 });
    navigation.follow(true);
    expect(store.window.value).toEqual({ start: 4_100, end: 5_100 });
    grow(store, 5_600);
    expect(store.window.value).toEqual({ start: 4_600, end: 5_600 });
    show(4_700, 5_600);
    grow(store, 5_700);
    expect([store.window.value, navigation.following.value]).toEqual([{ start: 4_800, end: 5_700 }, true]);
    show(4_000, 5_000);
    expect(navigation.following.value).toBe(false);
    grow(store, 6_000);
    expect(store.window.value).toEqual({ start: 4_000, end: 5_000 });
  });

  it('is what the whole run does by itself, so that there is nothing to switch on', () => {
    const { store, navigation, show } = openPage();
    navigation.follow(true);
    expect(navigation.following.value).toBe(false);
    show(4_000, 5_000);
    navigation.follow(true);
    navigation.showAll();
    expect([store.window.value, navigation.following.value]).toEqual([null, false]);
  });

  it('ends with the way back', () => {
    const { store, navigation, show } = openPage();
    show(1_000, 2_000);
    show(4_500, 5_000);
    navigation.follow(true);
    navigation.back();
    grow(store, 5_500);
    expect([store.window.value, navigation.following.value]).toEqual([{ start: 1_000, end: 2_000 }, false]);
  });
});

describe('a box', () => {
  it('shows all cells that it touches, and makes its first row the active one', () => {
    const { store, navigation, show } = openPage();
    show(1_000, 2_000);
    navigation.showBox({ x: 101, y: 20, width: 250, height: 60 });
    expect(store.window.value).toEqual({ start: 1_100, end: 1_360 });
    expect(store.activeKey.value).toBe('module:a');
  });
});

describe('two fingers', () => {
  it('keep the steps that they are on', () => {
    const grid = { steps: [0, 100_000] as const, cell: 1, levels: 9 };
    const px = fc.integer({ min: 0, max: 1_000 });
    fc.assert(
      fc.property(fc.tuple(px, px), fc.tuple(px, px), (from, to) => {
        fc.pre(from[0] < from[1] && to[0] < to[1]);
        const scale = stepScale(grid, { start: 20_000, end: 60_000 }, 1_000);
        const window = pinched(scale, from, to);
        const after = { ...scale, ...window };
        for (const i of [0, 1] as const) expect(stepAt(after, to[i])).toBeCloseTo(stepAt(scale, from[i]), 3);
      }),
    );
  });
});

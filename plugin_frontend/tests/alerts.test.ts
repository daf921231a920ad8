import { effect } from '@preact/signals';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AlertFeed } from '../src/alerts/alert_feed.ts';
import { Alerts, countsOf, inTimeOrder, summaryOf } from '../src/alerts/alerts.ts';
import { jumpFrom } from '../src/alerts/jumps.ts';
import { SEVERITIES } from '../src/alerts/kinds.ts';
import { jump, visit, windowOf } from '../src/alerts/visit.ts';
import { Refused } from '../src/api.ts';
import type { Alert, Meta } from '../src/contract.ts';
import { Findings } from '../src/findings/findings.ts';
import { openTop } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { Store } from '../src/store.ts';
import { TileStore } from '../src/tile_store.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { GRADIENTS, WEIGHTS, metaOf, nodesFrom, runOf } from './support/meta.ts';

const RUN = 'exp1/gradhealth';
const nothingKept = { read: () => null, write: () => undefined };

function openPage(
  backend: { answer: () => Alert[] | Error } = { answer: () => [] },
  first: Meta | null = metaOf(),
) {
  const asked: string[] = [];
  const trees = { asked: 0 };
  const page = { visible: true, widthCssPx: 1_400 };
  const api = {
    alerts(run: string, stream: string) {
      asked.push(`${run} ${stream}`);
      const found = backend.answer();
      return found instanceof Error
        ? Promise.reject(found)
        : Promise.resolve({ alerts: found, complete: true });
    },
    findings: () => Promise.resolve({ findings: [], recorded: false, revision: 0 }),
    meta: () => {
      trees.asked++;
      return Promise.resolve(metaOf());
    },
  };
  const noEvents = { changed: () => undefined, failed: () => undefined };
  const store = new Store(new TileStore(() => Promise.resolve([]), noEvents));
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 90, devicePixelRatio: 1 };
  const alerts = new Alerts(nothingKept, () => page.widthCssPx);
  const findings = new Findings();
  alerts.findings.value = findings;
  new AlertFeed(api, store, alerts, findings, () => page.visible).start();
  effect(() => {
    store.pictured.value = store.runName.value !== null;
  });
  store.receiveRuns([runOf()]);
  if (first !== null) store.receiveMeta(first);
  return { store, alerts, asked, page, trees, pointing: new Pointing(store) };
}

const seconds = (count: number) => vi.advanceTimersByTimeAsync(1_000 * count);
const alertsAt = (...steps: number[]) =>
  steps.map((step) => alertOf({ id: String(step), steps: [step, step + 10] }));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the feed', () => {
  it('asks once for each revision, and not more often than every five seconds', async () => {
    const { store, alerts, asked } = openPage({ answer: () => alertsAt(10) });
    await seconds(0.4);
    expect(asked).toEqual([`${RUN} gradients`]);
    expect(alerts.all.value.map(({ id }) => id)).toEqual(['10']);
    for (let revision = 2; revision < 8; revision++) {
      store.receiveMeta(metaOf({ revision }));
      await seconds(0.5);
    }
    expect(asked.length).toBe(1);
    await seconds(2);
    expect(asked.length).toBe(2);
    await seconds(20);
    expect(asked.length).toBe(2);
  });

  it('keeps the last list while it loads and when that fails, and tries again at a later poll', async () => {
    const answers: (Alert[] | Error)[] = [alertsAt(10), new Refused(422, 'damaged'), alertsAt(10, 20)];
    const { store, alerts, asked } = openPage({ answer: () => answers.shift() ?? [] });
    await seconds(1);
    store.receiveMeta(metaOf({ revision: 2 }));
    await seconds(6);
    expect([alerts.all.value.length, alerts.problem.value]).toEqual([1, 'damaged']);
    expect(store.refusal.value).toBeNull();
    await seconds(20);
    expect(asked.length).toBe(2);
    store.receiveRuns([runOf()]);
    await seconds(6);
    expect([alerts.all.value.length, alerts.problem.value]).toEqual([2, null]);
  });

  it('is silent while the page is hidden, and goes on at the next poll', async () => {
    const { store, asked, page } = openPage();
    await seconds(1);
    page.visible = false;
    store.receiveMeta(metaOf({ revision: 2 }));
    await seconds(60);
    expect(asked.length).toBe(1);
    page.visible = true;
    store.receiveRuns([runOf()]);
    await seconds(1);
    expect(asked.length).toBe(2);
  });

  it('forgets the alerts of another run or of other nodes, and drops answers that come too late', async () => {
    const { store, alerts, asked } = openPage({ answer: () => alertsAt(10) });
    await seconds(1);
    expect(alerts.all.value.length).toBe(1);
    store.receiveMeta(metaOf({ revision: 3, nodes: nodesFrom(['', 'x', 'x.w'], [-1, 0, 1]) }));
    expect(alerts.all.value).toEqual([]);
    await seconds(1);
    expect(asked.length).toBe(2);
    store.chooseRun('other');
    await seconds(10);
    expect([alerts.found.value, asked.length]).toEqual([null, 2]);
  });

  it('stays with the first stream while another one with other nodes is shown', async () => {
    const streams = [GRADIENTS, WEIGHTS];
    const other = { streams, stream: 'weights', nodes: nodesFrom(['', 'x', 'x.w'], [-1, 0, 1]) };
    const { store, alerts, asked, trees } = openPage({ answer: () => alertsAt(10) });
    store.receiveMeta(metaOf({ streams }));
    await seconds(1);
    store.chooseStream('weights');
    store.receiveMeta(metaOf(other));
    await seconds(6);
    expect([alerts.all.value.length, asked.length, trees.asked]).toEqual([1, 1, 0]);
    expect(alerts.all.value.map((alert) => alerts.pathOf(alert))).toEqual(['a.weight']);
    expect(alerts.areOf(store.stream.value)).toBe(false);
    const sessions = metaOf().sessions.flatMap((one) => [one, { ...one, id: '01' }]);
    store.receiveMeta(metaOf({ ...other, revision: 2, sessions }));
    await seconds(6);
    expect([alerts.found.value?.revision, asked.at(-1), trees.asked]).toEqual([2, `${RUN} gradients`, 1]);
    store.chooseStream(null);
    store.receiveMeta(metaOf({ streams, revision: 2, sessions }));
    expect([alerts.all.value.length, alerts.areOf(store.stream.value)]).toEqual([1, true]);
  });

  it('finds the names of its nodes where the page began with another stream', async () => {
    const streams = [GRADIENTS, WEIGHTS];
    const { store, alerts } = openPage({ answer: () => alertsAt(10) }, null);
    store.chooseStream('weights');
    store.receiveMeta(metaOf({ streams, stream: 'weights', nodes: nodesFrom(['', 'x'], [-1, 0]) }));
    await seconds(1);
    expect(alerts.all.value.map((alert) => alerts.pathOf(alert))).toEqual(['a.weight']);
  });

  it.each(['it comes', 'something else is chosen', 'another run is chosen'])(
    'goes to an alert of the stream that is not shown: %s',
    async (what) => {
      const streams = [GRADIENTS, WEIGHTS];
      const { store, alerts, pointing } = openPage({ answer: () => alertsAt(120) });
      store.receiveMeta(metaOf({ streams }));
      await seconds(1);
      store.chooseStream('weights');
      const weights = { streams, stream: 'weights', nodes: nodesFrom(['', 'x', 'x.w'], [-1, 0, 1]) };
      store.receiveMeta(metaOf(weights));
      expect(jump(store, pointing, alerts, 1)).toBe(true);
      expect([store.nextStream.value?.name, store.stream.value?.name]).toEqual(['gradients', 'weights']);
      expect(store.cursor.value).toBeNull();
      if (what === 'something else is chosen') store.chooseStream('weights');
      if (what === 'another run is chosen') store.chooseRun('exp2');
      else store.receiveMeta(metaOf({ streams }));
      store.chooseStream(null);
      store.receiveMeta(metaOf({ streams, run: store.runName.value ?? '' }));
      await seconds(0.1);
      const place = { key: 'tensor:a.weight', step: 120 };
      expect(store.cursor.value).toEqual(what === 'it comes' ? place : null);
      if (what === 'it comes') expect(alerts.visited.value?.told).toMatch(/Showing Gradients \(applied\)$/);
    },
  );
});

describe('the rail', () => {
  it('opens by itself once, where there is room and something critical, unless it was closed before', () => {
    const found = (severity: Alert['severity']) => ({
      ...{ run: RUN, stream: 'gradients', tree: foundIn, revision: 1, complete: true },
      alerts: [alertOf({ severity })],
    });
    const opened = (severity: Alert['severity'], widthCssPx: number, kept: string | null = null) => {
      const alerts = new Alerts({ read: () => kept, write: () => undefined }, () => widthCssPx);
      alerts.receive(found(severity));
      return alerts;
    };
    expect(opened('critical', 1_400).open.value).toBe(true);
    expect(opened('critical', 1_000).open.value).toBe(false);
    expect(opened('warning', 1_400).open.value).toBe(false);
    expect(opened('critical', 1_400, 'closed').open.value).toBe(false);
    expect(opened('notice', 800, 'open').open.value).toBe(true);
    const calm = opened('notice', 1_400);
    calm.receive(found('critical'));
    expect(calm.open.value).toBe(false);
    calm.receive({ ...found('critical'), run: 'other' });
    expect(calm.open.value).toBe(true);
    calm.toggle();
    calm.receive({ ...found('critical'), run: 'third' });
    expect(calm.open.value).toBe(false);
  });
});

describe('jumps', () => {
  const lists = fc.array(
    fc.record({ step: fc.nat(300), node: fc.nat(9), severity: fc.constantFrom(...SEVERITIES) }),
    { minLength: 1, maxLength: 60 },
  );

  it('come by each alert once in the order of steps, then around, and back the same way', () => {
    fc.assert(
      fc.property(lists, fc.nat(310), (found, from) => {
        const inTime = inTimeOrder(
          found.map(({ step, node, severity }, i) =>
            alertOf({ id: `#${i}`, node, severity, steps: [step, step + 1] }),
          ),
        );
        let current: string | null = null;
        const visited: string[] = [];
        let wraps = 0;
        for (let i = 0; i < inTime.length; i++) {
          const next = jumpFrom(inTime, current, from, 1);
          if (next === null) throw new Error('no alert');
          if (i === 0 && inTime.some(({ steps }) => steps[0] >= from))
            expect(next.spot.steps[0]).toBeGreaterThanOrEqual(from);
          expect(inTime[next.number - 1]).toBe(next.spot);
          wraps += next.wrapped ? 1 : 0;
          const back = jumpFrom(inTime, next.spot.id, from, -1);
          if (current !== null) expect(back?.spot.id).toBe(current);
          current = next.spot.id;
          visited.push(current);
        }
        expect(visited.toSorted()).toEqual(inTime.map(({ id }) => id).toSorted());
        expect(wraps).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
    expect(jumpFrom([], null, 0, 1)).toBeNull();
  });

  it('go on from where the cursor is, and say when they wrap', async () => {
    const { store, pointing, alerts } = openPage({ answer: () => alertsAt(1_000, 2_000, 3_000) });
    await seconds(1);
    const at = () => alerts.visited.value?.id;
    store.cursor.value = { key: 'total:', step: 1_500 };
    jump(store, pointing, alerts, 1);
    expect(at()).toBe('2000');
    jump(store, pointing, alerts, 1);
    expect(alerts.visited.value?.told).toContain('Alert 3 of 3, critical: NaN in a.weight');
    jump(store, pointing, alerts, 1);
    expect(at()).toBe('1000');
    expect(alerts.visited.value?.told).toContain('From the last back to the first');
    jump(store, pointing, alerts, -1);
    expect(at()).toBe('3000');
    store.cursor.value = { key: 'total:', step: 1_500 };
    jump(store, pointing, alerts, -1);
    expect(at()).toBe('1000');
    alerts.toggleSeverity('critical');
    expect(jump(store, pointing, alerts, 1)).toBe(false);
  });
});

describe('a visit', () => {
  it('unfolds the path, brings row and step into view, places the cursor and shows the metric', () => {
    const { store, pointing, alerts } = openPage();
    const tree = store.tree.value;
    if (tree !== null) store.setOpen(openTop(tree));
    store.size.value = { widthDevicePx: 1_000, heightDevicePx: 36, devicePixelRatio: 1 };
    const alert = alertOf({ kind: 'spike', node: 5, steps: [4_000, 4_010], metric: 'mean' });
    visit(store, pointing, alerts, alert, 'A spike');
    expect(store.cursor.value).toEqual({ key: 'tensor:b.weight', step: 4_000 });
    expect(Array.from(store.nodes.value)).toEqual([0, 1, 2, 5]);
    expect(pointing.cursorCell.value).toMatchObject({ node: 5, row: 3, index: 400 });
    expect(store.metric.value?.name).toBe('mean');
    expect(alerts.visited.value?.told).toBe('A spike. Showing Mean');
    expect(store.window.value).toBeNull();
  });

  it('of a NaN or Inf stays at the metric that is shown, which has a sign for it', () => {
    const { store, pointing, alerts } = openPage();
    store.chooseMetric('mean');
    for (const kind of ['nan', 'pos_inf', 'neg_inf']) {
      visit(store, pointing, alerts, alertOf({ kind, node: 5, metric: 'norm' }), kind);
      expect([store.metric.value?.name, alerts.visited.value?.told]).toEqual(['mean', kind]);
    }
    visit(store, pointing, alerts, alertOf({ kind: 'near_zero', node: 5, metric: 'norm' }), '');
    expect(store.metric.value?.name).toBe('norm');
  });

  it('zooms in only where the interval is narrower than a pixel, and moves only where it is out of view', () => {
    const scale = { start: 0, end: 100_000, widthDevicePx: 1_000, level: 4, cellSteps: 160 };
    expect(windowOf([500, 600], scale, 1)).toBeNull();
    const closer = windowOf([500, 510], scale, 1);
    expect((closer?.start ?? 0) / 2 + (closer?.end ?? 0) / 2).toBe(505);
    expect((closer?.end ?? 0) - (closer?.start ?? 0)).toBe(1_250);
    const near = { ...scale, start: 1_000, end: 2_000, level: 0, cellSteps: 10 };
    expect(windowOf([1_990, 2_000], near, 1)).toBeNull();
    expect(windowOf([2_000, 2_010], near, 1)).toEqual({ start: 1_505, end: 2_505 });
  });

  it('leaves the view alone where the run has no such node or metric', () => {
    const { store, pointing, alerts } = openPage();
    visit(store, pointing, alerts, alertOf({ node: 99 }), '');
    expect([store.cursor.value, alerts.visited.value]).toEqual([null, null]);
    visit(store, pointing, alerts, alertOf({ kind: 'spike', metric: 'unknown' }), '');
    expect(store.metric.value?.name).toBe('norm');
  });
});

describe('the summary', () => {
  it('counts in words', () => {
    expect(summaryOf(countsOf([...alertsAt(1, 2), alertOf({ severity: 'warning' })]))).toBe(
      '2 critical, 1 warning',
    );
    expect(summaryOf(countsOf([]))).toBe('nothing found');
  });
});

import { effect, signal } from '@preact/signals';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AlertFeed } from '../src/alerts/alert_feed.ts';
import { Alerts } from '../src/alerts/alerts.ts';
import { jump, visit, windowOf } from '../src/alerts/visit.ts';
import { Refused, Unreachable } from '../src/api.ts';
import { type Finding, type Meta, parseFindings } from '../src/contract.ts';
import { BesideFeed } from '../src/findings/beside_feed.ts';
import { sentenceOf } from '../src/findings/finding_view.tsx';
import { Findings } from '../src/findings/findings.ts';
import { groupsOf } from '../src/findings/groups.ts';
import { nodeOf, spotOf } from '../src/findings/spot.ts';
import { Pointing } from '../src/pointing.ts';
import { Store } from '../src/store.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { EXAMPLE, findingOf } from './support/finding.ts';
import { metaOf, runOf } from './support/meta.ts';
import { noTiles } from './support/page.ts';

const RULES = ['', 'a', 'b', 'c'];

describe('findings in groups', () => {
  it('hold each finding once, below the first of the rule that explains it, the worst first', () => {
    const one = fc.record({ rule: fc.constantFrom('a', 'b', 'c'), follows: fc.constantFrom(...RULES) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), (drawn) => {
        const all = drawn.map((about, i) => findingOf({ ...about, id: String(i) }));
        // As `grouped` in tb_gradhealth/diagnosis/telling.py has it, but for the order of groups.
        const explains = (rule: string) => all.find((root) => root.rule === rule && root.follows === '');
        const groups = groupsOf(all);
        for (const { root, followers } of groups) {
          expect(followers).toEqual(all.filter((finding) => explains(finding.follows) === root));
          expect(explains(root.follows)).toBeUndefined();
        }
        const members = groups.map(({ root, followers }) => [root, ...followers]);
        expect(members.flat().toSorted((a, b) => Number(a.id) - Number(b.id))).toEqual(all);
        const first = members.map((some) => Math.min(...some.map(({ id }) => Number(id))));
        expect(first).toEqual(first.toSorted((a, b) => a - b));
      }),
    );
  });

  it('are hints only where nothing in them is graver, and fold', () => {
    const findings = new Findings();
    const tree = foundIn;
    const about = {
      run: 'r',
      stream: 'gradients',
      tree,
      revision: 1,
      steps: [0, 9] as const,
      recorded: true,
    };
    const root = findingOf({ id: 'root', severity: 'notice', rule: 'zeros' });
    const grave = findingOf({ id: 'grave', severity: 'high', follows: 'zeros', rule: 'dead' });
    const hint = findingOf({ id: 'hint', severity: 'notice' });
    findings.receive({ ...about, findings: [grave, root, hint, { ...hint, text: 'the same id' }] });
    expect(findings.all.value).toEqual([grave, root, hint]);
    expect(findings.shown.value).toEqual(['finding root', 'followers root', findings.noticesFold]);
    expect(findings.spots.value.map(({ id }) => id)).toEqual(['finding grave']);
    findings.reveal('finding grave');
    findings.unfold(findings.noticesFold);
    expect(findings.shown.value).toEqual([
      ...['finding root', 'followers root', 'finding grave', findings.noticesFold, 'finding hint'],
    ]);
  });
});

describe('the place of a finding', () => {
  it('is its node, else the nearest module around it that has a row, else the whole model', () => {
    const named = (name: string, node: number | null = null) => nodeOf(findingOf({ name, node }), foundIn);
    expect(named('a.weight', 3)).toBe(3);
    expect(named('a.relu.inner')).toBe(1);
    expect(named('elsewhere.relu')).toBe(0);
    expect([named(''), named('a', 99), named('a', -1)]).toEqual([0, 1, 1]);
    expect(spotOf(findingOf({ steps: [7, 7] }), foundIn).steps).toEqual([7, 8]);
  });

  it('comes into the part of the heatmap that the rail leaves free, the begin of a long one first', () => {
    const scale = { start: 0, end: 1_000, widthDevicePx: 1_000, level: 0, cellSteps: 10 };
    expect(windowOf([590, 600], scale, 1, 400)).toBeNull();
    expect(windowOf([700, 720], scale, 1, 400)).toEqual({ start: 410, end: 1_410 });
    expect(windowOf([2_000, 9_000], scale, 1)).toEqual({ start: 1_750, end: 2_750 });
  });
});

describe('the sentence of a finding', () => {
  it('leaves out what stands beside it, and is whole where it is another', () => {
    expect(sentenceOf(findingOf())).toBe('A value that is not finite was used');
    expect(sentenceOf(findingOf({ text: 'NUMERICAL: look' }))).toBe('NUMERICAL: look');
    expect(sentenceOf(findingOf({ text: '' }))).toBe('');
  });
});

const seconds = (count: number) => vi.advanceTimersByTimeAsync(1_000 * count);

function openPage(answer: () => unknown, widthCssPx = 1_400) {
  const store = new Store(noTiles());
  store.size.value = { widthDevicePx: 1_000, heightDevicePx: 90, devicePixelRatio: 1 };
  const alerts = new Alerts({ read: () => null, write: () => undefined }, () => widthCssPx);
  const findings = new Findings();
  alerts.findings.value = findings;
  const api = {
    alerts: () => Promise.resolve({ alerts: [alertOf({ severity: 'notice' })], complete: true }),
    findings: () =>
      new Promise<ReturnType<typeof parseFindings>>((resolve, reject) => {
        const reply = answer();
        if (reply instanceof Error) reject(reply);
        else resolve(parseFindings(reply));
      }),
    meta: () => Promise.resolve(metaOf()),
  };
  new AlertFeed(api, store, alerts, findings, () => true).start();
  effect(() => {
    store.pictured.value = store.runName.value !== null;
  });
  store.receiveRuns([runOf()]);
  store.receiveMeta(metaOf());
  return { store, alerts, findings, pointing: new Pointing(store) };
}

const replyOf = (...found: Partial<Finding>[]) => ({ ...EXAMPLE, findings: found.map(findingOf) });

describe('the feed', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('follows the revisions of the run, keeps what is unfolded, and forgets another run’s', async () => {
    const replies = [replyOf({ id: 'one' }), replyOf({ id: 'one', steps: [130, 160] }, { id: 'two' })];
    const { store, findings } = openPage(() => replies.shift() ?? replyOf());
    await seconds(0.2);
    expect(findings.found.value).toBeNull();
    await seconds(0.3);
    expect(findings.all.value.map(({ id }) => id)).toEqual(['one']);
    findings.unfold('reasons one');
    store.receiveMeta(metaOf({ revision: 2 }));
    await seconds(6);
    expect(findings.all.value.map(({ steps }) => steps)).toEqual([
      [130, 160],
      [130, 140],
    ]);
    expect(findings.unfolded.value.has('reasons one')).toBe(true);
    store.chooseRun('other');
    expect([findings.found.value, findings.unfolded.value.size]).toEqual([null, 0]);
  });

  it.each([
    [new Unreachable('HTTP status 404', 404), false, null],
    [new Refused(404, 'no such run'), false, null],
    [{ findings: [], recorded: false, revision: 3 }, false, null],
    [new Refused(422, 'damaged'), undefined, 'damaged'],
    [{ findings: [{}], recorded: true, revision: 3 }, undefined, /expected a string/],
  ])('takes %s for what it is, and has the alerts all the same', async (reply, recorded, problem) => {
    const { alerts, findings } = openPage(() => reply);
    await seconds(1);
    expect(findings.found.value?.recorded).toBe(recorded);
    if (problem === null) expect(findings.problem.value).toBeNull();
    else expect(findings.problem.value).toMatch(problem);
    expect([alerts.all.value.length, alerts.problem.value]).toEqual([1, null]);
  });

  it.each([
    ['critical', 1_400, true],
    ['high', 1_400, true],
    ['medium', 1_400, false],
    ['critical', 1_000, false],
  ] as const)('opens the rail by itself for something grave where there is room: %s %d', async (...given) => {
    const [severity, width, opens] = given;
    const { alerts } = openPage(() => replyOf({ severity }), width);
    await seconds(1);
    expect(alerts.open.value).toBe(opens);
  });

  it('has its findings gone to among the alerts, in the order of steps', async () => {
    const { store, alerts, pointing } = openPage(() =>
      replyOf({ id: 'late', steps: [900, 910], node: 5 }, { id: 'hint', severity: 'notice' }),
    );
    await seconds(1);
    jump(store, pointing, alerts, 1);
    expect(alerts.visited.value?.told).toContain('Alert 1 of 2, notice');
    jump(store, pointing, alerts, 1);
    expect(alerts.visited.value?.told).toContain('Finding 2 of 2, critical: NUMERICAL in a.weight');
    expect(store.cursor.value).toEqual({ key: 'tensor:b.weight', step: 900 });
    expect(store.metric.value?.name).toBe('norm');
  });
});

describe('the feed of the run beside', () => {
  it('has its findings while it is there, each at the row of its name', async () => {
    vi.useFakeTimers();
    const { store, alerts, pointing } = openPage(() => replyOf());
    const beside = { meta: signal<Meta | null>(null) };
    const asked: string[] = [];
    const api = {
      findings(run: string) {
        asked.push(run);
        return Promise.resolve(parseFindings(replyOf({ name: 'b.weight', node: 1 })));
      },
    };
    new BesideFeed(api, store, beside, alerts).start();
    await seconds(1);
    expect([alerts.beside.value, asked]).toEqual([null, []]);
    beside.meta.value = metaOf({ run: 'other' });
    await seconds(1);
    store.receiveRuns([runOf()]);
    await seconds(6);
    expect(asked).toEqual(['other']);
    const [found] = alerts.beside.value?.all.value ?? [];
    expect(found?.id).toBe('B nonfinite:a.weight:130');
    visit(store, pointing, alerts, spotOf(found ?? findingOf(), foundIn), '');
    expect(store.cursor.value?.key).toBe('tensor:b.weight');
    expect(alerts.inTime.value.map(({ id }) => id)).not.toContain('finding B nonfinite:a.weight:130');
    beside.meta.value = null;
    expect(alerts.beside.value).toBeNull();
    vi.useRealTimers();
  });
});

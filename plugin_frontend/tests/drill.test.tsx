// @vitest-environment happy-dom
import { signal } from '@preact/signals';
import fc from 'fast-check';
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Lines, Row, Rows } from '../src/contract.ts';
import { Drill, heightLimits } from '../src/drill/drill.ts';
import { LineFeed } from '../src/drill/line_feed.ts';
import { PinList } from '../src/drill/pin_list.tsx';
import { DASHES, MOST_PINS, type Pin, toggled } from '../src/drill/pins.ts';
import { RowFeed } from '../src/drill/row_feed.ts';
import { RowTable } from '../src/drill/row_table.tsx';
import { sectionsOf, tsvOf } from '../src/drill/row_text.ts';
import { Separator } from '../src/drill/separator.tsx';
import { Pointing } from '../src/pointing.ts';
import { host, settled } from './support/host.ts';
import { GRADIENTS, metaOf, nodesFrom } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE = '<img src=x onerror="window.pwned=1"></bdi><script>window.pwned=1</script>';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function pageOf(names: readonly string[] = ['', 'a', 'b', 'a.weight']) {
  const store = storeOf(metaOf({ nodes: nodesFrom(names, [-1, 0, 0, 1]) }));
  const keys = store.tree.value?.keys ?? [];
  return { store, keys, drill: new Drill(store), pointing: new Pointing(store) };
}

function rowOf(changes: Partial<Row> = {}): Row {
  return {
    steps: [40, 50],
    recorded: 10,
    with_data: 9,
    first_bad: null,
    counts: new Map([
      ['count', 160],
      ['near_zero', 3],
      ['nan', 0],
    ]),
    metrics: new Map([
      ['mean', { mean: null, min: null, max: null }],
      ['norm', { mean: 0.123456789, min: 0, max: Infinity }],
    ]),
    logged: new Map([['loss', { mean: 2.5, min: 2.25, max: NaN }]]),
    ...changes,
  };
}

function linesOf(nodes: readonly number[]): Lines {
  const lines = nodes.map((node) => ({
    node,
    mean: [node, null],
    min: [node, null],
    max: [node, null],
    flags: [0, 8],
  }));
  return { edges: [0, 2_500, 5_000], lines };
}

describe('pins', () => {
  it('have a style each, which stays theirs while others come and go', () => {
    const presses = fc.array(fc.integer({ min: 0, max: 12 }).map(String), { maxLength: 60 });
    fc.assert(
      fc.property(presses, (keys) => {
        let pins: readonly Pin[] = [];
        for (const key of keys) {
          const next = toggled(pins, key);
          const known = pins.some((pin) => pin.key === key);
          expect(next.length).toBe(known ? pins.length - 1 : Math.min(MOST_PINS, pins.length + 1));
          for (const pin of next) if (pin.key !== key) expect(pins).toContainEqual(pin);
          const styles = next.map(({ style }) => style);
          expect(new Set(styles).size).toBe(styles.length);
          for (const style of styles) expect(DASHES[style]).not.toEqual(DASHES[0]);
          pins = next;
        }
      }),
    );
    expect(new Set(DASHES.map(String)).size).toBe(MOST_PINS + 1);
  });

  it('outlive a change of indices, and say when a run lacks them', () => {
    const { store, keys, drill } = pageOf();
    drill.togglePin(keys[3]);
    store.cursor.value = { key: keys[2] ?? '', step: 3 };
    expect(drill.shown.value.map(({ node, style }) => [node, style])).toEqual([
      [2, 0],
      [3, 1],
    ]);
    store.receiveMeta(
      metaOf({ revision: 2, nodes: nodesFrom(['', 'a', 'a.new', 'a.weight'], [-1, 0, 1, 1]) }),
    );
    store.receiveMeta(metaOf({ revision: 3, nodes: nodesFrom(['', 'a', 'a.weight'], [-1, 0, 1]) }));
    expect(drill.shown.value.map(({ node }) => node)).toEqual([2]);
    store.receiveMeta(metaOf({ revision: 4, nodes: nodesFrom(['', 'x'], [-1, 0]) }));
    expect(drill.shown.value.map(({ node, style }) => [node, style])).toEqual([[null, 1]]);
  });

  it('show names as text, with the mean at the step that is told', async () => {
    const { store, keys, drill, pointing } = pageOf(['', HOSTILE, 'b', 'a.weight']);
    drill.togglePin(keys[1]);
    store.cursor.value = { key: keys[2] ?? '', step: 10 };
    const feed = new LineFeed(
      { lines: (_, nodes) => Promise.resolve(linesOf(nodes)) },
      store,
      drill,
      signal(true),
      vi.fn(),
    );
    drill.open.value = true;
    const stop = feed.start();
    await settled();
    await act(() => {
      render(<PinList {...{ store, drill, pointing, feed }} />, host);
    });
    expect([...host.querySelectorAll('bdi')].map((name) => name.textContent)).toEqual(['b', HOSTILE]);
    expect([...host.querySelectorAll('.figure')].map((figure) => figure.textContent)).toEqual(['2', '1']);
    expect(host.querySelector('img, script')).toBeNull();
    await act(() => {
      pointing.stepElsewhere.value = 4_000.5;
    });
    expect([...host.querySelectorAll('.figure')].map((figure) => figure.textContent)).toEqual([
      'no data',
      'no data',
    ]);
    await act(() => {
      host.querySelector<HTMLElement>('[data-testid=unpin]')?.click();
    });
    expect(drill.pins.value).toEqual([]);
    stop();
  });
});

describe('the line feed', () => {
  it('asks for what is open, seen and in view, once, and drops what is superseded', async () => {
    vi.useFakeTimers();
    const { store, keys, drill } = pageOf();
    const asked: {
      nodes: readonly number[];
      steps: number[];
      cells: number;
      signal: AbortSignal | undefined;
    }[] = [];
    const lines = vi.fn(
      (
        _: unknown,
        nodes: readonly number[],
        begin: number,
        end: number,
        cells: number,
        abort?: AbortSignal,
      ) => {
        asked.push({ nodes, steps: [begin, end], cells, signal: abort });
        return new Promise<Lines>((resolve) =>
          setTimeout(() => {
            resolve(linesOf(nodes));
          }, 50),
        );
      },
    );
    const visible = signal(true);
    const feed = new LineFeed({ lines }, store, drill, visible, vi.fn());
    const stop = feed.start();
    store.cursor.value = { key: keys[1] ?? '', step: 0 };
    expect(asked).toEqual([]);
    drill.enter('pointer');
    expect(asked).toMatchObject([{ nodes: [1], steps: [0, 5_000], cells: 1_000 }]);
    store.zoomTo({ start: 100.5, end: 900.5 });
    store.zoomTo({ start: 200.5, end: 900.5 });
    expect(asked[0]?.signal?.aborted).toBe(true);
    expect(asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(asked.slice(1)).toMatchObject([{ nodes: [1], steps: [200, 901] }]);
    expect(feed.lines.value?.byKey.get(keys[1] ?? '')?.node).toBe(1);
    visible.value = false;
    store.zoomTo({ start: 300, end: 900 });
    await vi.advanceTimersByTimeAsync(500);
    expect(asked.length).toBe(2);
    visible.value = true;
    await vi.advanceTimersByTimeAsync(500);
    expect(asked.length).toBe(3);
    store.chooseMetric('mean');
    expect(feed.lines.value).toBeNull();
    expect(asked.length).toBe(4);
    drill.close();
    expect(asked[3]?.signal?.aborted).toBe(true);
    store.zoomTo({ start: 400, end: 900 });
    await vi.advanceTimersByTimeAsync(500);
    expect(asked.length).toBe(4);
    stop();
  });

  it('tells of a failure, and asks again when the server is back', async () => {
    const { store, keys, drill } = pageOf();
    const failed = vi.fn(() => (store.connection.value = 'gone'));
    let fails = true;
    const lines = vi.fn((_: unknown, nodes: readonly number[]) =>
      fails ? Promise.reject(new Error('down')) : Promise.resolve(linesOf(nodes)),
    );
    const feed = new LineFeed({ lines }, store, drill, signal(true), failed);
    const stop = feed.start();
    store.cursor.value = { key: keys[1] ?? '', step: 0 };
    drill.enter('pointer');
    await settled();
    expect(failed).toHaveBeenCalledTimes(1);
    fails = false;
    store.connection.value = 'back';
    await vi.waitFor(() => {
      expect(feed.lines.value?.edges.length).toBe(3);
    });
    expect(lines).toHaveBeenCalledTimes(2);
    stop();
  });
});

describe('the row', () => {
  const metrics = metaOf().metrics;

  it('is a table with metrics in the order of the run, what was logged, counts and steps', () => {
    const sections = sectionsOf(rowOf({ first_bad: 47 }), metrics, GRADIENTS);
    expect(sections.map(({ title, heads }) => [title, ...heads])).toEqual([
      ['Metrics', 'mean', 'min', 'max'],
      ['Logged', 'mean', 'min', 'max'],
      ['Counts', 'over the row'],
      ['Steps', 'of this row'],
    ]);
    expect(sections[0]?.lines.map(({ label, unit, cells, bad }) => [label, unit, ...cells, bad])).toEqual([
      ['Norm', 'L2', '0.1235', '0', '+Inf', true],
      ['Mean', 'per element', '–', '–', '–', false],
    ]);
    expect(sections[1]?.lines[0]?.cells).toEqual(['2.5', '2.25', 'NaN']);
    expect(sections[2]?.lines.map(({ label, cells }) => [label, ...cells])).toEqual([
      ['elements', '160'],
      ['near zero', '3'],
      ['NaN', '0'],
    ]);
    expect(sections[3]?.lines.at(-1)).toMatchObject({ cells: ['step 47'], bad: true });
  });

  it('is copied in full precision, and no name breaks the table or becomes a formula', () => {
    const logged = new Map([['=HYPERLINK("x")\t\nloss', { mean: -2.5, min: 0.1 + 0.2, max: 1 }]]);
    const text = tsvOf('-evil\tpath', sectionsOf(rowOf({ logged }), metrics, GRADIENTS));
    const lines = text.split('\n').map((line) => line.split('\t'));
    expect(lines[0]).toEqual(["'-evil path"]);
    expect(lines[2]).toEqual(['Norm', 'L2', '0.123456789', '0', 'Infinity']);
    expect(lines[5]).toEqual([`'=HYPERLINK("x")  loss`, '', '-2.5', '0.30000000000000004', '1']);
  });

  async function show(rows: Rows, names?: readonly string[]) {
    const { store, keys, drill } = pageOf(names);
    const ask = vi.fn(() => Promise.resolve(rows));
    const feed = new RowFeed({ rows: ask }, store, drill, signal(true), vi.fn());
    const stop = feed.start();
    store.cursor.value = { key: keys[1] ?? '', step: 47 };
    drill.enter('keyboard');
    await settled();
    await act(() => {
      render(<RowTable {...{ store, drill, feed }} />, host);
    });
    stop();
    return { store, drill, ask };
  }

  it('shows the row with the first NaN of several, and pages through the others', async () => {
    const rows = [rowOf({ steps: [40, 45] }), rowOf({ steps: [45, 50], first_bad: 47 })];
    const { ask } = await show({ rows, complete: false });
    expect(ask.mock.calls[0]?.slice(0, 5)).toEqual(['exp1/gradhealth', 'gradients', 1, 40, 50]);
    const page = () => host.querySelector('[data-testid=page]')?.textContent;
    expect(page()).toBe('row 2 of the first 2');
    const press = (id: string) => act(() => host.querySelector<HTMLElement>(`[data-testid=${id}]`)?.click());
    await press('next-row');
    expect(page()).toBe('row 2 of the first 2');
    await press('previous-row');
    expect(page()).toBe('row 1 of the first 2');
    expect(host.querySelector('caption')?.textContent).toBe('a, steps 40–44');
  });

  it('shows hostile names as text, and can be copied where there is a clipboard and where there is none', async () => {
    const spread = { mean: 1, min: 1, max: 1 };
    await show({ rows: [rowOf({ logged: new Map([[HOSTILE, spread]]) })], complete: true }, [
      '',
      HOSTILE,
      'b',
      'c',
    ]);
    expect(host.textContent).toContain('<script>window.pwned=1</script>');
    expect(host.querySelector('img, script')).toBeNull();
    const written: string[] = [];
    vi.stubGlobal('navigator', {
      clipboard: { writeText: (text: string) => Promise.resolve(written.push(text)) },
    });
    const copy = () => act(() => host.querySelector<HTMLElement>('[data-testid=copy-tsv]')?.click());
    await copy();
    await settled();
    expect(written[0]).toContain('Norm\tL2\t0.123456789\t0\tInfinity\n');
    vi.stubGlobal('navigator', {});
    await copy();
    await settled();
    expect(host.querySelector('[role=status]')?.textContent).toBe('Selected: press Ctrl+C');
  });
});

describe('the panel', () => {
  it('has a height within the limits of the page, changed with the keys of a separator', async () => {
    const { drill } = pageOf();
    await act(() => {
      render(<Separator drill={drill} controls="x" />, host);
    });
    const separator = host.querySelector('[role=separator]');
    const press = async (key: string) => {
      await act(() => {
        separator?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      });
      return Number(separator?.getAttribute('aria-valuenow'));
    };
    const [least, most] = heightLimits(window.innerHeight);
    expect(await press('ArrowUp')).toBe(324);
    expect(await press('ArrowDown')).toBe(300);
    expect(await press('End')).toBe(most);
    expect(await press('ArrowUp')).toBe(most);
    expect(await press('Home')).toBe(least);
    fc.assert(
      fc.property(
        fc.integer({ min: -500, max: 5_000 }),
        fc.integer({ min: 1, max: 3_000 }),
        (wanted, page) => {
          drill.resize(wanted, page);
          const [low, high] = heightLimits(page);
          expect(drill.heightCssPx.value).toBe(Math.min(high, Math.max(low, wanted)));
        },
      ),
    );
  });

  it('shows signed figures on a symlog scale where the heatmap is logarithmic', () => {
    const { store, drill } = pageOf();
    expect(drill.valueScaleKind.value).toBe('log');
    store.chooseMetric('mean');
    expect(drill.valueScaleKind.value).toBe('linear');
    drill.ownScale.value = 'log';
    expect(drill.valueScaleKind.value).toBe('symlog');
  });
});

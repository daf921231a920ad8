// @vitest-environment happy-dom
import { signal } from '@preact/signals';
import fc from 'fast-check';
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { describe, expect, it, vi } from 'vitest';
import type { ExponentBin, Histogram, NumberFormat } from '../src/contract.ts';
import { Drill } from '../src/drill/drill.ts';
import { ExponentFeed } from '../src/drill/exponent_feed.ts';
import {
  axisOf,
  barsOf,
  binWords,
  exponentTicks,
  laneOf,
  middleOf,
  percent,
  placeOf,
  power,
  shareScale,
  sharesOf,
} from '../src/drill/exponent_scale.ts';
import { ExponentView } from '../src/drill/exponent_view.tsx';
import { host, part, settled } from './support/host.ts';
import { GRADIENTS, metaOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

const HOSTILE = '<img src=x onerror="window.pwned=1">';

/** Bins as the writer keeps them: two exponents wide from -64 to 32, and one on either side. */
function binsOf(elements: readonly number[]): ExponentBin[] {
  const edges = Array.from({ length: 49 }, (_, i) => -64 + 2 * i);
  return [null, ...edges].map((low, i) => {
    const high = edges[i] ?? null;
    const inside = elements.filter(
      (x) => x > 0 && x >= (low === null ? 0 : 2 ** low) && x < (high === null ? Infinity : 2 ** high),
    );
    const share = inside.length / elements.length;
    return { low, high, mean: share, min: share, max: share };
  });
}

function formatOf(
  label: string,
  zero: number,
  normal: number,
  largest: number,
  shares = [0, 0, 0],
): NumberFormat {
  const [underflow, subnormal, overflow] = shares.map((mean) => ({ mean, min: mean, max: mean }));
  if (underflow === undefined || subnormal === undefined || overflow === undefined)
    throw new Error('three shares');
  return { name: label, label, zero, normal, largest, underflow, subnormal, overflow };
}

const FP16 = formatOf('FP16', -25, -14, 65_504, [0.25, 0.75, 0.125]);
const BF16 = formatOf('BF16', -134, -126, 2 ** 128 - 2 ** 120);
const E4M3 = formatOf('FP8 E4M3', -10, -6, 448);

const ELEMENTS = [0, 2 ** -70, 2 ** -30, 2 ** -30, 2 ** -13, 1.5 * 2 ** -13, 2 ** 40, 1];

const exponents = fc.double({ min: -80, max: 50, noNaN: true });
const elementLists = fc.array(
  exponents.map((exponent) => 2 ** exponent),
  { minLength: 1, maxLength: 60 },
);

describe('the axis of exponents', () => {
  const axis = axisOf(binsOf(ELEMENTS));

  it('has the bins side by side, those without a bound as wide as the others', () => {
    expect(axis).toEqual({ lo: -66, hi: 34 });
    const bars = barsOf(binsOf(ELEMENTS), axis, shareScale('linear', binsOf(ELEMENTS)));
    for (const [i, { from, to }] of bars.entries()) {
      expect(from).toBeCloseTo(i / 50, 12);
      expect(to).toBeCloseTo((i + 1) / 50, 12);
    }
  });

  it('puts an element into the bar that it counts for, whatever it is', () => {
    fc.assert(
      fc.property(exponents, (exponent) => {
        const bins = binsOf([2 ** exponent]);
        const bars = barsOf(bins, axis, shareScale('linear', bins));
        const place = placeOf(axis, exponent);
        const [bar, ...more] = bars.filter(({ share }) => share > 0);
        expect(more).toEqual([]);
        expect(place).toBeGreaterThanOrEqual((bar?.from ?? 2) - 1e-9);
        expect(place).toBeLessThanOrEqual((bar?.to ?? -1) + 1e-9);
      }),
    );
  });

  it('has labels at multiples of a power of two, no more than asked for', () => {
    expect(exponentTicks(axis, 14)).toEqual([-64, -56, -48, -40, -32, -24, -16, -8, 0, 8, 16, 24, 32]);
    expect(exponentTicks(axis, 7)).toEqual([-64, -48, -32, -16, 0, 16, 32]);
    expect(exponentTicks(axis, 14).some((exponent) => Object.is(exponent, -0))).toBe(false);
  });
});

describe('a bar', () => {
  it('is as high as its share, and none for none; a tiny one stands on a logarithmic scale', () => {
    const bins = binsOf(ELEMENTS);
    const axis = axisOf(bins);
    const linear = shareScale('linear', bins);
    for (const { share, height } of barsOf(bins, axis, linear))
      expect(height).toBeCloseTo(share / linear.hi, 12);
    const tiny = bins.map((bin, i) => (i === 3 ? { ...bin, mean: 1e-6, min: 0, max: 1e-3 } : bin));
    const [log, low] = [barsOf(tiny, axis, shareScale('log', tiny)), barsOf(tiny, axis, linear)];
    expect(low[3]?.height).toBeLessThan(0.001);
    expect(log.every(({ share, height }) => height > 0 === share > 1e-6)).toBe(true);
    expect(log[3]?.low).toBe(0);
    expect(log[3]?.high).toBeGreaterThan(log[3]?.height ?? 1);
  });
});

describe('what a format holds', () => {
  const axis = axisOf(binsOf(ELEMENTS));

  it('is told for every magnitude as comparing it with the limits does', () => {
    for (const format of [FP16, BF16, E4M3]) {
      const lane = laneOf(format, axis);
      fc.assert(
        fc.property(fc.double({ min: -65.9, max: 33.9, noNaN: true }), (exponent) => {
          const x = 2 ** exponent;
          const [zero, normal] = [2 ** format.zero, 2 ** format.normal];
          const fate =
            x < zero ? 'zero' : x < normal ? 'subnormal' : x <= format.largest ? 'normal' : 'overflow';
          const place = (exponent + 66) / 100;
          const found = lane.filter(({ from, to }) => place > from - 1e-9 && place < to + 1e-9);
          expect(found.map((one) => one.fate)).toContain(fate);
          expect(found.length).toBeLessThanOrEqual(2);
        }),
      );
    }
    expect(laneOf(BF16, axis)).toEqual([{ fate: 'normal', from: 0, to: 1 }]);
    expect(laneOf(FP16, axis).map(({ from }) => from)).toEqual([
      0,
      0.41,
      0.52,
      (Math.log2(65_504) + 66) / 100,
    ]);
  });

  it('is told in shares that do not overlap', () => {
    expect(sharesOf(FP16)).toEqual({ zero: 0.25, subnormal: 0.5, overflow: 0.125 });
    expect(sharesOf(formatOf('x', 0, 0, 1, [0.5, 0.4999, 0])).subnormal).toBe(0);
  });
});

describe('words for a histogram', () => {
  it('name the bins that nine tenths of the elements are in', () => {
    fc.assert(
      fc.property(elementLists, (elements) => {
        const bins = binsOf(elements);
        const [first, last] = middleOf(bins) ?? [];
        const below = elements.filter((x) => x < 2 ** (first?.low ?? -Infinity)).length;
        const above = elements.filter((x) => x >= 2 ** (last?.high ?? Infinity)).length;
        expect(below / elements.length).toBeLessThanOrEqual(0.05 + 1e-9);
        expect(above / elements.length).toBeLessThanOrEqual(0.05 + 1e-9);
      }),
    );
    expect(middleOf(binsOf([0, 0]))).toBeNull();
  });

  it('tell some from none, and not quite all from all', () => {
    expect([0, 1e-12, 0.1234, 0.99999, 1].map(percent)).toEqual([
      '0',
      '1e-10 %',
      '12.3 %',
      '> 99.9 %',
      '100 %',
    ]);
    expect([-14, 0, 126].map(power)).toEqual(['2⁻¹⁴', '2⁰', '2¹²⁶']);
    const bin = { low: -14, high: -12, mean: 0.5, min: 0.25, max: 0.75 };
    expect(binWords(bin)).toBe('2⁻¹⁴ ≤ |x| < 2⁻¹²: 50 % of the elements (25 % to 75 %)');
  });
});

function histogramOf(changes: Partial<Histogram> = {}): Histogram {
  return {
    label: 'Exponents of gradients',
    what: 'gradient',
    steps: [700, 710],
    recorded: 1,
    with_data: 1,
    counts: new Map([
      ['count', 8],
      ['zero', 1],
      ['nan', 2],
    ]),
    bins: binsOf(ELEMENTS),
    formats: [FP16, E4M3],
    ...changes,
  };
}

const STREAMS = [GRADIENTS, { ...GRADIENTS, name: 'exponents', sampled: true, histogram: true }];

async function opened(answer: Histogram | null = histogramOf()) {
  const store = storeOf(metaOf({ streams: STREAMS }));
  const drill = new Drill(store);
  const asked: unknown[] = [];
  const api = {
    exponents: (...question: unknown[]) => {
      asked.push(question.slice(0, 5));
      return Promise.resolve(answer);
    },
  };
  const feed = new ExponentFeed(api, store, drill, signal(true), () => undefined);
  feed.start();
  store.cursor.value = { key: 'tensor:a.weight', step: 705 };
  drill.enter('pointer');
  await act(() => {
    render(<ExponentView drill={drill} feed={feed} />, host);
  });
  await settled();
  return { store, drill, asked };
}

describe('the histogram in the drill-down', () => {
  it('is asked for where it is looked at, at the step of the cursor', async () => {
    const { store, drill, asked } = await opened();
    expect([drill.hasExponents.value, drill.picture.value, asked]).toEqual([true, 'lines', []]);
    drill.ownPicture.value = 'exponents';
    await settled();
    expect(asked).toEqual([['exp1/gradhealth', 'gradients', 3, 705, 706]]);
    store.cursor.value = { key: 'tensor:a.weight', step: 44 };
    await vi.waitFor(() => {
      const told = 'nothing at step 44; nearest: 1 sampled step of steps 700–709';
      expect(part('exponents-steps')?.textContent).toBe(told);
    });
    store.receiveMeta(metaOf({ revision: 2 }));
    expect([drill.hasExponents.value, drill.picture.value]).toEqual([false, 'lines']);
  });

  it('comes first in a stream that has one', async () => {
    const { store, drill } = await opened();
    store.chooseStream('exponents');
    store.receiveMeta(metaOf({ streams: STREAMS, stream: 'exponents' }));
    expect(drill.picture.value).toBe('exponents');
  });

  it('tells where it is from, what is in no bin, and what formats lose, as text', async () => {
    const { drill } = await opened(histogramOf({ label: HOSTILE }));
    drill.ownPicture.value = 'exponents';
    await settled();
    expect(host.textContent).toContain(HOSTILE);
    expect(host.querySelector('img')).toBeNull();
    expect(part('exponents-steps')?.textContent).toBe('1 sampled step of steps 700–709');
    expect(part('exponents-apart')?.textContent).toBe('elements8zeros1 (12.5 %)NaN2 (25 %)+Inf0−Inf0');
    const [fp16] = part('formats')?.querySelectorAll('tbody tr') ?? [];
    expect([...(fp16?.children ?? [])].map((cell) => cell.textContent)).toEqual([
      'FP16',
      'zero below 2 to the -25, normal from 2 to the -14 to 65,504',
      '25 %',
      '50 %',
      '12.5 %',
    ]);
  });

  it('is read out bin by bin with the keys', async () => {
    const { drill } = await opened();
    drill.ownPicture.value = 'exponents';
    await settled();
    const bars = part('exponents-bars');
    const press = (key: string) =>
      act(() => {
        bars?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      });
    const told = () => bars?.getAttribute('aria-valuetext');
    expect(told()).toBe('2 to the -30 ≤ |x| < 2 to the -28: 25 % of the elements');
    await press('ArrowRight');
    expect(told()).toBe('2 to the -28 ≤ |x| < 2 to the -26: 0 of the elements');
    await press('End');
    expect([told(), part('exponents-read-out')?.textContent]).toEqual([
      '|x| ≥ 2 to the 32: 12.5 % of the elements',
      '|x| ≥ 2³²: 12.5 % of the elements',
    ]);
    await press('ArrowRight');
    expect(bars?.getAttribute('aria-valuenow')).toBe('49');
  });

  it('says why there is none', async () => {
    const without = await opened(null);
    without.drill.ownPicture.value = 'exponents';
    await settled();
    expect(part('exponents-note')?.textContent).toContain('No histogram of exponents was recorded');
    const bins = histogramOf().bins.map((bin) => ({ ...bin, mean: null, min: null, max: null }));
    const empty = await opened(histogramOf({ bins }));
    empty.drill.ownPicture.value = 'exponents';
    await settled();
    expect(part('exponents-note')?.textContent).toBe('No gradient here at or near step 705.');
  });
});

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { cssColour, rampColour } from './colours.ts';
import { formatValue } from './format.ts';
import { type CodeCounts, type Histogram, NO_COUNTS, countCodes, histogramOf } from './histogram.ts';
import { fitRange } from './painter.ts';
import { codesInView, rowsOf } from './picture.ts';
import { type End, endOf, withCentre, withEnd, withSmallest } from './range_edit.ts';
import { type Range, centreOf, isMirrored, inFactors, placeOf, rangeTicks, valueAt } from './ranges.ts';
import type { Store } from './store.ts';

const BINS = 60;
const BAR_STOPS = 32;
const MOST_TICKS = 5;

/** Counting waits for a pause in panning and zooming, in which nobody reads a histogram. */
const PAUSE_MS = 200;

/** Digits with which a field shows a value: more than bf16 has. */
const FIELD_DIGITS = 6;

/** Shares of the ramp that a key moves an end by. */
const KEY_STEP = 0.02;
const KEY_PAGE = 0.1;

/** Drawn unseen while there is no range yet, so that nothing moves when there is one. */
const NO_RANGE: Range = { kind: 'magnitude', scale: 'linear', lo: 0, hi: 1 };

/** What the control is laid out along: while an end is dragged it stays, or the pointer would lose the end. */
interface Axis {
  readonly range: Range;
  readonly histogram: Histogram;
}

/** The colour bar under a histogram of what is in view; its ends can be dragged, typed, fitted and held. */
export function RangeControl({ store }: { store: Store }) {
  const counts = useCounts(store);
  const [held, setHeld] = useState<Axis | null>(null);
  const bar = useRef<HTMLSpanElement>(null);
  const [known, metric] = [store.range.value, store.metric.value];
  const range = known ?? NO_RANGE;
  const histogram = useMemo(() => histogramOf(counts, range, BINS), [counts, range]);
  const axis = held ?? { range, histogram };
  const hold = (next: Range) => {
    store.holdRange(next);
  };
  const cssPercentOf = (value: number) => {
    const { from, to } = axis.histogram;
    return 100 * Math.min(1, Math.max(0, (placeOf(axis.range, value) - from) / (to - from)));
  };
  const handle = (end: End) => (
    <Handle
      end={end}
      range={range}
      histogram={histogram}
      unit={metric?.unit ?? ''}
      cssPercent={cssPercentOf(endOf(range, end))}
      grab={() => {
        setHeld(axis);
      }}
      release={() => {
        setHeld(null);
      }}
      drag={(clientX) => {
        const box = bar.current?.getBoundingClientRect();
        if (box === undefined || box.width === 0) return;
        const share = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
        const { from, to } = axis.histogram;
        hold(withEnd(range, end, limited(range, end, valueAt(axis.range, from + share * (to - from)))));
      }}
      move={(places) => {
        const place = (end === 'low' ? 0 : 1) + places;
        hold(withEnd(range, end, limited(range, end, valueAt(range, place))));
      }}
    />
  );
  return (
    <span
      class={known === null ? 'range unknown' : 'range'}
      role="group"
      aria-label="Range of the colours"
      data-testid="range"
    >
      <Field
        label="Lowest colour at"
        testId="range-lo"
        value={endOf(range, 'low')}
        commit={(value) => {
          hold(withEnd(range, 'low', value));
        }}
      />
      <span class="ramp" ref={bar}>
        <Beyond histogram={histogram} />
        <Bars histogram={axis.histogram} />
        <span class="bar" style={{ background: gradientOf(store, cssPercentOf, range) }} />
        {handle('low')}
        {handle('high')}
        <Ticks range={range} cssPercentOf={cssPercentOf} />
      </span>
      <Field
        label="Highest colour at"
        testId="range-hi"
        value={endOf(range, 'high')}
        commit={(value) => {
          hold(withEnd(range, 'high', value));
        }}
      />
      <span class="unit">{metric?.unit}</span>
      {range.scale === 'diverging' && (
        <Field
          label="Centre"
          shown
          testId="range-centre"
          value={centreOf(range)}
          commit={(value) => {
            hold(withCentre(range, value));
          }}
        />
      )}
      {isMirrored(range) && inFactors(range) && (
        <Field
          label="Smallest"
          shown
          testId="range-smallest"
          value={range.lo}
          commit={(value) => {
            hold(withSmallest(range, value));
          }}
        />
      )}
      <span class="range-buttons">
        <button
          type="button"
          data-testid="fit"
          title="Fit the colours to the cells in view, without their rarest extremes"
          onClick={() => {
            fitRange(store);
          }}
        >
          Robust
        </button>
        <button
          type="button"
          class="lock"
          data-testid="lock"
          aria-pressed={store.rangeIsHeld.value}
          title="Keep this range for the metric, whatever view, stream or run is shown"
          onClick={() => {
            if (store.rangeIsHeld.peek()) store.releaseRange();
            else hold(range);
          }}
        >
          <Padlock closed={store.rangeIsHeld.value} />
          Lock
        </button>
      </span>
    </span>
  );
}

/** What is in view, counted when the view has come to rest. */
function useCounts(store: Store): CodeCounts {
  const [counts, setCounts] = useState<CodeCounts>(NO_COUNTS);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = store.scene.subscribe((scene) => {
      clearTimeout(timer);
      if (scene === null) return;
      timer = setTimeout(() => {
        setCounts(countCodes(codesInView(scene, rowsOf(scene), 'rows')));
      }, PAUSE_MS);
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [store]);
  return counts;
}

/** A dragged end stops at the other one, or on a symmetric ramp at its middle; only a typed one goes past it. */
function limited(range: Range, end: End, value: number): number {
  const symmetric = isMirrored(range) || range.scale === 'diverging';
  const stop = symmetric ? (end === 'low' ? 0.49 : 0.51) : end === 'low' ? 0.98 : 0.02;
  const limit = valueAt(range, stop);
  return end === 'low' ? Math.min(value, limit) : Math.max(value, limit);
}

function gradientOf(store: Store, cssPercentOf: (value: number) => number, range: Range): string {
  const [left, right] = [cssPercentOf(endOf(range, 'low')), cssPercentOf(endOf(range, 'high'))];
  const stops = Array.from({ length: BAR_STOPS }, (_, i) => {
    const t = i / (BAR_STOPS - 1);
    return `${cssColour(rampColour(store.colourMap.value, t))} ${left + t * (right - left)}%`;
  });
  return `linear-gradient(to right, ${stops.join(', ')})`;
}

/** Bars as high as many values there are; where there is any value there is a bar. */
function Bars({ histogram }: { histogram: Histogram }) {
  const most = Math.max(1, ...histogram.bins);
  const bars = histogram.bins.map((count, i) => {
    const height = count === 0 ? 0 : Math.max(0.06, count / most);
    return `M${i} 1V${1 - height}H${i + 1}V1Z`;
  });
  return (
    <svg
      class="histogram"
      data-testid="histogram"
      viewBox={`0 0 ${BINS} 1`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={bars.join('')} />
    </svg>
  );
}

/** The shares of values in view that take an end's colour. */
function Beyond({ histogram: { below, above, total } }: { histogram: Histogram }) {
  return (
    <span class="beyond" data-testid="beyond">
      <span>{below > 0 && `${shareOf(below, total)} below`}</span>
      <span>{above > 0 && `${shareOf(above, total)} above`}</span>
    </span>
  );
}

export function shareOf(count: number, total: number): string {
  const percent = (100 * count) / Math.max(1, total);
  if (count === 0) return '0 %';
  return percent < 0.1 ? '< 0.1 %' : `${Number(percent.toPrecision(percent < 99.5 ? 2 : 3))} %`;
}

function Ticks({ range, cssPercentOf }: { range: Range; cssPercentOf: (value: number) => number }) {
  const values = rangeTicks(range, MOST_TICKS);
  const labels = labelsOf(values, range);
  return (
    <span class="ticks">
      {values.map((value, i) => (
        <span key={value} style={{ left: `${cssPercentOf(value)}%` }}>
          {labels[i]}
        </span>
      ))}
    </span>
  );
}

/** As few digits as tell the values apart. */
function labelsOf(values: readonly number[], range: Range): string[] {
  for (let digits = 2; ; digits++) {
    const labels = values.map((value) => formatValue(value, range.kind, digits));
    if (new Set(labels).size === labels.length || digits === FIELD_DIGITS) return labels;
  }
}

interface HandleProps {
  end: End;
  range: Range;
  histogram: Histogram;
  unit: string;
  cssPercent: number;
  grab: () => void;
  drag: (clientX: number) => void;
  release: () => void;
  /** Moves the end by a share of the ramp's length. */
  move: (places: number) => void;
}

function Handle({ end, range, histogram, unit, cssPercent, grab, drag, release, move }: HandleProps) {
  const value = endOf(range, end);
  const beyond = end === 'low' ? histogram.below : histogram.above;
  const sides = { low: 'below', high: 'above' };
  const shown = `${formatValue(value, range.kind)} ${unit}`.trim();
  const steps: Record<string, number> = {
    ArrowLeft: -KEY_STEP,
    ArrowDown: -KEY_STEP,
    ArrowRight: KEY_STEP,
    ArrowUp: KEY_STEP,
    PageDown: -KEY_PAGE,
    PageUp: KEY_PAGE,
  };
  return (
    <span
      class={`range-end ${end}`}
      role="slider"
      tabIndex={0}
      data-testid={`range-${end}`}
      aria-label={end === 'low' ? 'Lowest colour' : 'Highest colour'}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(cssPercent)}
      aria-valuetext={`${shown}, ${shareOf(beyond, histogram.total)} of the values in view are ${sides[end]}`}
      style={{ left: `${cssPercent}%` }}
      onKeyDown={(event) => {
        const step = steps[event.key];
        if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        move(step);
      }}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        grab();
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId)) drag(event.clientX);
      }}
      onLostPointerCapture={release}
    />
  );
}

interface FieldProps {
  label: string;
  /** Whether the label is there to be seen, or only to be heard. */
  shown?: boolean;
  testId: string;
  value: number;
  commit: (value: number) => void;
}

/** An exact value; what is being typed stays as it is until it is entered or left. */
function Field({ label, shown = false, testId, value, commit }: FieldProps) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <label class="range-field">
      <span class={shown ? 'quiet' : 'visually-hidden'}>{label}</span>
      <input
        type="number"
        step="any"
        data-testid={testId}
        title={label}
        value={typed ?? String(Number(value.toPrecision(FIELD_DIGITS)))}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
        }}
        onChange={(event) => {
          if (typed !== null && typed !== '') commit(event.currentTarget.valueAsNumber);
          setTyped(null);
        }}
        onBlur={() => {
          setTyped(null);
        }}
      />
    </label>
  );
}

function Padlock({ closed }: { closed: boolean }) {
  return (
    <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <path
        d={closed ? 'M4 6V4a2 2 0 0 1 4 0v2' : 'M4 6V3.5a2 2 0 0 1 4 0'}
        fill="none"
        stroke="currentColor"
      />
      <rect x="2.5" y="6" width="7" height="5" rx="1" fill="currentColor" />
    </svg>
  );
}

import { useState } from 'preact/hooks';
import type { Histogram } from '../contract.ts';
import { formatCount, formatSteps, plural, shortened } from '../format.ts';
import { heightOf, valueTicks } from '../lines/value_scale.ts';
import type { Drill } from './drill.ts';
import type { ExponentFeed, KnownHistogram } from './exponent_feed.ts';
import { FormatTable } from './exponent_formats.tsx';
import {
  type ExponentAxis,
  axisOf,
  barsOf,
  binWords,
  exponentTicks,
  isEmpty,
  peakOf,
  percent,
  placeOf,
  powerAloud,
  shareScale,
  summaryOf,
} from './exponent_scale.ts';

const LABEL_CHARACTERS = 60;
const MOST_LABELS = 14;
const PAGE_BINS = 5;

/** How large the elements at the cursor's step are, and what of them other number formats hold. */
export function ExponentView({ drill, feed }: { drill: Drill; feed: ExponentFeed }) {
  const known = feed.shown.value;
  return (
    <div class="exponents" data-testid="exponents" role="group" aria-label="Histogram of exponents">
      {known?.histogram == null || isEmpty(known.histogram) ? (
        <p class="quiet exponents-note" data-testid="exponents-note">
          {noteOf(drill, known)}
        </p>
      ) : (
        <Opened drill={drill} step={known.step} histogram={known.histogram} />
      )}
    </div>
  );
}

function noteOf(drill: Drill, known: KnownHistogram | null): string {
  if (drill.cell.value === null) return 'The cursor is on no cell.';
  if (known === null) return 'Loading…';
  const { histogram } = known;
  if (histogram === null) return 'No histogram of exponents was recorded of this stream’s tensors.';
  return `No ${shortened(histogram.what, LABEL_CHARACTERS)} here at or near step ${formatCount(known.step)}.`;
}

function Opened({ drill, step, histogram }: { drill: Drill; step: number; histogram: Histogram }) {
  const [pointed, point] = useState<number | null>(null);
  const { bins, steps, recorded, label } = histogram;
  const [axis, scale] = [axisOf(bins), shareScale(drill.shareScale.value, bins)];
  const bars = barsOf(bins, axis, scale);
  const at = pointed === null ? null : (bars[pointed] ?? null);
  const bin = pointed === null ? undefined : bins[pointed];
  const isNear = step < steps[0] || step >= steps[1];
  return (
    <>
      <p class="exponents-head">
        <b>{shortened(label, LABEL_CHARACTERS)}</b>
        <span class="quiet" data-testid="exponents-steps">
          {isNear && `nothing at step ${formatCount(step)}; nearest: `}
          {plural(recorded, 'sampled step')} of {formatSteps(...steps)}
        </span>
        <span data-testid="exponents-read-out">
          {bin === undefined ? summaryOf(histogram) : binWords(bin)}
        </span>
      </p>
      <div class="exponents-plot">
        <div class="exponents-shares" aria-hidden="true">
          {valueTicks(scale).map((share) => (
            <span key={share} style={{ bottom: inPercent(heightOf(scale, share)) }}>
              {percent(share)}
            </span>
          ))}
        </div>
        <Bars histogram={histogram} bars={bars} pointed={pointed} point={point} />
        <Apart histogram={histogram} />
        <Exponents axis={axis} />
      </div>
      <FormatTable formats={histogram.formats} axis={axis} at={at} />
    </>
  );
}

interface BarsProps {
  histogram: Histogram;
  bars: ReturnType<typeof barsOf>;
  pointed: number | null;
  point: (bin: number | null) => void;
}

/** The bars, as a slider over them: what its thumb is on is read out. */
function Bars({ histogram, bars, pointed, point }: BarsProps) {
  const { bins } = histogram;
  const now = pointed ?? peakOf(bins);
  const bin = bins[now];
  return (
    <div
      class="exponents-bars"
      data-testid="exponents-bars"
      role="slider"
      tabIndex={0}
      aria-label={`Bins of log2 |x|. ${summaryOf(histogram, powerAloud)}`}
      aria-valuemin={0}
      aria-valuemax={bins.length - 1}
      aria-valuenow={now}
      aria-valuetext={bin === undefined ? undefined : binWords(bin, powerAloud)}
      onFocus={() => {
        point(now);
      }}
      onBlur={() => {
        point(null);
      }}
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        const place = (event.clientX - box.left) / box.width;
        const under = bars.findIndex(({ to }) => place < to);
        point(under < 0 ? bars.length - 1 : under);
      }}
      onPointerLeave={() => {
        point(null);
      }}
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const goals: Record<string, number> = {
          ArrowLeft: now - 1,
          ArrowRight: now + 1,
          ArrowDown: now - 1,
          ArrowUp: now + 1,
          PageDown: now - PAGE_BINS,
          PageUp: now + PAGE_BINS,
          Home: 0,
          End: bins.length - 1,
        };
        const goal = goals[event.key];
        if (goal === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        point(Math.min(bins.length - 1, Math.max(0, goal)));
      }}
    >
      {bars.map(({ from, to, height, low, high, share }, i) => (
        <div
          key={i}
          class={i === pointed ? 'exponent-bin pointed' : 'exponent-bin'}
          style={{ left: inPercent(from), width: inPercent(to - from) }}
        >
          {share > 0 && <div class="exponent-bar" style={{ height: inPercent(height) }} />}
          {high > low && (
            <div class="exponent-range" style={{ bottom: inPercent(low), height: inPercent(high - low) }} />
          )}
        </div>
      ))}
    </div>
  );
}

/** Labels of the axis. */
function Exponents({ axis }: { axis: ExponentAxis }) {
  return (
    <div class="exponents-axis" aria-hidden="true">
      {exponentTicks(axis, MOST_LABELS).map((exponent, i) => (
        <span
          key={exponent}
          class={i % 2 === 1 ? 'between' : ''}
          style={{ left: inPercent(placeOf(axis, exponent)) }}
        >
          2<sup>{String(exponent).replace('-', '−')}</sup>
        </span>
      ))}
    </div>
  );
}

const APART = [
  ['zero', 'zeros'],
  ['nan', 'NaN'],
  ['pos_inf', '+Inf'],
  ['neg_inf', '−Inf'],
] as const;

/** What is in no bin. */
function Apart({ histogram: { counts } }: { histogram: Histogram }) {
  const count = counts.get('count') ?? 0;
  return (
    <dl class="exponents-apart" data-testid="exponents-apart">
      <div>
        <dt>elements</dt>
        <dd>{formatCount(count)}</dd>
      </div>
      {APART.map(([name, label]) => {
        const some = counts.get(name) ?? 0;
        return (
          <div key={name} class={name !== 'zero' && some > 0 ? 'bad' : ''}>
            <dt>{label}</dt>
            <dd>
              {formatCount(some)}
              {some > 0 && ` (${percent(some / count)})`}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function inPercent(fraction: number): string {
  return `${fraction * 100}%`;
}

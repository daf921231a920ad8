import { useEffect, useRef } from 'preact/hooks';
import type { Overview, Series } from '../contract.ts';
import { colourOf, lookOf } from '../drill/looks.ts';
import { Swatch } from '../drill/pin_list.tsx';
import { formatCount, formatSteps, formatValue, plural, px, shortened } from '../format.ts';
import type { Pointing } from '../pointing.ts';
import { stepAt } from '../scales.ts';
import { StepLine } from '../step_line.tsx';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import { type Group, figuresAt, groupsOf, skippedAt } from './groups.ts';
import type { OverviewFeed } from './overview_feed.ts';
import { drawSparkline } from './sparkline.ts';

/** The height stays whatever has come, or the heatmap below would move; more rows than fit are scrolled. */
const HEIGHT_CSS_PX = 78;
const LEAST_ROW_CSS_PX = 26;
const NAME_CHARACTERS = 60;
const ID = 'overview';

interface Props {
  store: Store;
  pointing: Pointing;
  feed: OverviewFeed;
  theme: { readonly value: Theme };
}

/** Norm, loss, learning rate and skipped steps above the heatmap, on its step axis. */
export function OverviewStrip(props: Props) {
  const { store, pointing, feed } = props;
  const [open, overview] = [feed.open.value, feed.overview.value];
  const groups = overview === null ? [] : groupsOf(overview.series);
  if (overview !== null && groups.length === 0) return null;
  const rowCssPx = Math.max(LEAST_ROW_CSS_PX, Math.floor(HEIGHT_CSS_PX / Math.max(1, groups.length)));
  return (
    <section
      class={open ? 'overview' : 'overview folded'}
      data-testid="overview"
      aria-label="Overview of the training"
      style={{ '--left': px(store.leftCssPx.value), '--row': px(rowCssPx), '--height': px(HEIGHT_CSS_PX) }}
    >
      <button
        type="button"
        class="fold"
        data-testid="fold-overview"
        aria-expanded={open}
        aria-controls={ID}
        aria-label="Overview"
        title={open ? 'Fold the overview' : 'Unfold the overview'}
        onClick={() => {
          feed.open.value = !open;
        }}
      >
        <span class={open ? 'twisty open' : 'twisty'} />
        {!open && 'Overview'}
      </button>
      {open && (
        <div
          id={ID}
          class="overview-rows"
          onPointerMove={(event) => {
            pointing.stepElsewhere.value = stepUnder(store, event);
          }}
          onPointerLeave={() => {
            pointing.stepElsewhere.value = null;
          }}
        >
          {overview !== null &&
            groups.map((group, i) => (
              <OverviewRow
                key={`${group.kind} ${i}`}
                {...props}
                {...{ overview, group, rowCssPx }}
                ticks={i === 0}
              />
            ))}
        </div>
      )}
    </section>
  );
}

/** The step under the pointer, or null left of the steps. */
function stepUnder(store: Store, event: PointerEvent): number | null {
  const [scale, ratio] = [store.scale.peek(), store.size.peek().devicePixelRatio];
  const devicePx = (event.clientX - store.leftCssPx.peek()) * ratio;
  return scale === null || devicePx < 0 || devicePx > scale.widthDevicePx ? null : stepAt(scale, devicePx);
}

interface RowProps extends Props {
  overview: Overview;
  group: Group;
  rowCssPx: number;
  ticks: boolean;
}

function OverviewRow({ store, pointing, theme, overview, group, rowCssPx, ticks }: RowProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [scale, { devicePixelRatio, widthDevicePx }] = [store.scale.value, store.size.value];
  const look = theme.value;
  useEffect(() => {
    const element = canvas.current;
    if (element === null || scale === null) return;
    const looks = group.series.map((_, i) => lookOf(element, i % STYLES, false));
    const colours = { bad: colourOf(element, '--bad'), skipped: colourOf(element, '--skipped') };
    drawSparkline(element, rowCssPx, scale, devicePixelRatio, overview, group, ticks, looks, colours);
  }, [overview, group.label, rowCssPx, scale, devicePixelRatio, ticks, look]);
  const step = pointing.stepTold.value;
  return (
    <div class="overview-row" data-testid="overview-row" data-kind={group.kind}>
      <div class="overview-words">
        <bdi class="name">{shortened(group.label, NAME_CHARACTERS)}</bdi>
        {group.series.map((series, i) => (
          <span key={i} class="figure" title={titleOf(overview, series, step)}>
            {group.series.length > 1 && <Swatch style={i % STYLES} />} {textOf(overview, series, step)}
          </span>
        ))}
        {ticks && <Skipped overview={overview} step={step} />}
      </div>
      <div class="overview-lines" style={{ width: px(widthDevicePx / devicePixelRatio) }}>
        <canvas ref={canvas} aria-hidden="true" data-testid="sparkline" />
        <StepLine store={store} step={store.cursor.value?.step ?? null} kind="cursor-line" />
        <StepLine store={store} step={pointing.stepPointed.value} kind="hairline" />
      </div>
    </div>
  );
}

/** Styles of lines that a group may use, as in the drill-down. */
const STYLES = 9;

function textOf({ edges }: Overview, series: Series, step: number | null): string {
  const figures = figuresAt(edges, series, step);
  if (figures?.mean == null) return 'no data';
  const value = (one: number | null) =>
    Number.isNaN(one) ? 'NaN' : formatValue(one ?? Number.NaN, 'magnitude', 3);
  return figures.min === figures.max
    ? value(figures.mean)
    : `${value(figures.mean)} (${value(figures.min)}–${value(figures.max)})`;
}

function titleOf(overview: Overview, series: Series, step: number | null): string {
  const where = step === null ? 'at the end' : formatSteps(step, step + 1);
  return `${shortened(series.label, NAME_CHARACTERS)}, ${where}: ${textOf(overview, series, step)}`;
}

function Skipped({ overview, step }: { overview: Overview; step: number | null }) {
  const { inView, here } = skippedAt(overview, step);
  if (inView === 0) return null;
  return (
    <span class="skipped-steps" data-testid="skipped">
      <svg viewBox="0 0 8 7" width="8" height="7" aria-hidden="true">
        <path d="M0 7H8L4 0Z" />
      </svg>{' '}
      {plural(inView, 'skipped step')}
      {here > 0 && `, ${formatCount(here)} here`}
    </span>
  );
}

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
import { drawSparkline } from './sparkline.ts';

const LEAST_ROW_CSS_PX = 26;
const NAME_CHARACTERS = 60;

interface Props {
  store: Store;
  pointing: Pointing;
  theme: { readonly value: Theme };
  overview: Overview;
}

/** A row for each kind of figures, all of them within a height; more rows than fit are scrolled. */
export function OverviewRows({ heightCssPx, ...props }: Props & { heightCssPx: number }) {
  const { store, pointing, overview } = props;
  const groups = groupsOf(overview.series);
  const rowCssPx = Math.max(LEAST_ROW_CSS_PX, Math.floor(heightCssPx / Math.max(1, groups.length)));
  return (
    <div
      class="overview-rows"
      style={{ '--row': px(rowCssPx) }}
      onPointerMove={(event) => {
        pointing.stepElsewhere.value = stepUnder(store, event);
      }}
      onPointerLeave={() => {
        pointing.stepElsewhere.value = null;
      }}
    >
      {groups.map((group, i) => (
        <OverviewRow key={`${group.kind} ${i}`} {...props} {...{ group, rowCssPx }} ticks={i === 0} />
      ))}
    </div>
  );
}

/** The step under the pointer, or null left of the steps. */
function stepUnder(store: Store, event: PointerEvent): number | null {
  const [scale, ratio] = [store.scale.peek(), store.size.peek().devicePixelRatio];
  const devicePx = (event.clientX - store.leftCssPx.peek()) * ratio;
  return scale === null || devicePx < 0 || devicePx > scale.widthDevicePx ? null : stepAt(scale, devicePx);
}

interface RowProps extends Props {
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

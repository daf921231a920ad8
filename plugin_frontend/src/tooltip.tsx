import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { CellFigures, Metric } from './contract.ts';
import type { Figures } from './figures.ts';
import { formatCount, formatSteps, formatValue, plural, px, shortened } from './format.ts';
import type { Pointed, Pointing } from './pointing.ts';
import type { Store } from './store.ts';
import { FLAG_INCOMPLETE, FLAG_NAN, FLAG_NEG_INF, FLAG_NO_GRADIENT, FLAG_POS_INF } from './tiles.ts';

const GAP_CSS_PX = 14;
const MOST_ALIASES = 4;
const NAME_CHARACTERS = 80;

/** A screen reader hears of the cell where the cursor has come to rest, not of those on the way. */
const READ_OUT_MS = 400;

interface Props {
  store: Store;
  pointing: Pointing;
  figures: Figures;
  /** A heatmap beside the first one, while it is the one that is pointed at. */
  beneath?: RefObject<HTMLElement | null> | undefined;
  /** False where something else shows the cursor's cell already. */
  atCursor?: boolean;
  /** What else is in the same place, as a mark or a second run: to see, and in words. */
  beside?: {
    above: (pointed: Pointed) => ComponentChildren;
    view: (pointed: Pointed) => ComponentChildren;
    words: (pointed: Pointed) => string;
  };
}

/** What is known of the cell under the pointer or the cursor: the tile's value at once, exact figures a moment later. */
export function Tooltip({ store, pointing, figures, beneath, atCursor = true, beside }: Props) {
  const pointed = pointing.pointed.value;
  const key = pointed === null ? '' : [pointed.node, pointed.level, pointed.index].join();
  const [layer, revision] = [store.layer.value, store.meta.value?.revision];
  useEffect(() => {
    figures.ask(pointing.pointed.peek());
  }, [key, layer, revision, figures, pointing]);
  return (
    <>
      {pointed !== null && (atCursor || pointed.by === 'pointer') && (
        <div
          class="tooltip"
          data-testid="tooltip"
          role="tooltip"
          style={placeOf(store, pointed, beneath?.current)}
        >
          {beside?.above(pointed)}
          <Contents store={store} pointing={pointing} pointed={pointed} exact={figures.of(pointed)} />
          {beside?.view(pointed)}
        </div>
      )}
      <ReadOut
        store={store}
        pointing={pointing}
        figures={figures}
        {...(beside === undefined ? {} : { beside })}
      />
    </>
  );
}

/** Beside the pointer or the cursor's cell, in the direction in which the page has more room. */
export function placeOf(store: Store, pointed: Pick<Pointed, 'rect'>, beneath?: HTMLElement | null) {
  // To measure the first one at each movement would lay the page out once more.
  const origin = beneath?.getBoundingClientRect() ?? { x: store.leftCssPx.value, y: store.topCssPx.value };
  const pointer = store.pointer.value;
  const { rect } = pointed;
  const x = origin.x + (pointer?.cssX ?? rect.x + rect.width / 2);
  const y = origin.y + (pointer?.cssY ?? rect.y + rect.height / 2);
  const [width, height] = [window.innerWidth, window.innerHeight];
  return {
    ...(x < width / 2 ? { left: px(x + GAP_CSS_PX) } : { right: px(width - x + GAP_CSS_PX) }),
    ...(y < height / 2 ? { top: px(y + GAP_CSS_PX) } : { bottom: px(height - y + GAP_CSS_PX) }),
  };
}

interface ContentsProps {
  store: Store;
  pointing: Pointing;
  pointed: Pointed;
  exact: CellFigures | null;
}

function Contents({ store, pointing, pointed, exact }: ContentsProps) {
  const [meta, metric, view] = [store.meta.value, store.metric.value, store.view.value];
  const shown = pointing.shownValue(pointed);
  if (meta === null || metric === null || view === null) return null;
  const kind = meta.nodes.kind[pointed.node] ?? 'tensor';
  return (
    <>
      <bdi class="path">{pointing.pathOf(pointed.node)}</bdi>
      <div class="about">{aboutNode(store, pointed.node)}</div>
      <Aliases names={meta.nodes.aliases[pointed.node] ?? []} />
      <div>{stepsText(store, pointed, exact)}</div>
      <div class="headline">
        <StreamLabel store={store} />
        {metric.label}, {view.label}: <b>{valueText(metric, view.name, shown, exact)}</b>
      </div>
      {shown !== null && <Findings flags={shown.flags} what={store.what.value} />}
      {exact !== null && (
        <Exact
          exact={exact}
          metric={metric}
          what={store.what.value}
          sampled={store.stream.value?.sampled === true}
          isTensor={kind === 'tensor'}
          pathOf={(node) => pointing.pathOf(node)}
        />
      )}
    </>
  );
}

/** The exact figure once it is here; until then the tile's, which has only 8 bits. */
function valueText(
  metric: Metric,
  view: string,
  shown: { value: number } | null,
  exact: CellFigures | null,
): string {
  const figures: Record<string, unknown> = { ...exact?.metrics.get(metric.name) };
  const figure = figures[view];
  if (typeof figure === 'number') return formatValue(figure, metric.kind);
  if (shown === null) return 'loading';
  const rough = Number.isFinite(shown.value) && shown.value !== 0;
  return (rough ? '≈ ' : '') + formatValue(shown.value, metric.kind, 3);
}

function aboutNode(store: Store, node: number): string {
  const nodes = store.meta.value?.nodes;
  const shape = nodes?.shape[node] ?? null;
  const parts = [
    shape === null ? (nodes?.kind[node] ?? '') : `[${shape.join(', ')}]`,
    nodes?.dtype[node] ?? '',
    plural(nodes?.size[node] ?? 0, 'element'),
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

function Aliases({ names }: { names: readonly string[] }) {
  if (names.length === 0) return null;
  const shown = names.slice(0, MOST_ALIASES).map((name) => shortened(name, NAME_CHARACTERS));
  const more = names.length - shown.length;
  return (
    <div class="about" data-testid="aliases">
      also <bdi>{shown.join(', ')}</bdi>
      {more > 0 && ` and ${formatCount(more)} more`}
    </div>
  );
}

/** Figures before and after clipping differ: where there are both, each says which it is. */
function StreamLabel({ store }: { store: Store }) {
  if ((store.meta.value?.streams.length ?? 0) < 2) return null;
  return (
    <div class="about">
      <bdi>{store.stream.value?.label}</bdi>
    </div>
  );
}

function stepsText(store: Store, { index, level }: Pointed, exact: CellFigures | null): string {
  const grid = store.grid.value;
  const size = (grid?.cell ?? 1) * 2 ** level;
  const [first, end] = grid?.steps ?? [0, 0];
  return formatSteps(...(exact?.steps ?? [Math.max(first, index * size), Math.min(end, (index + 1) * size)]));
}

/** The flags in words; counts follow with the exact figures. */
export function findingsOf(flags: number, what: string): string[] {
  const signs = [
    (flags & FLAG_NAN) !== 0 ? 'NaN' : '',
    (flags & FLAG_POS_INF) !== 0 ? '+Inf' : '',
    (flags & FLAG_NEG_INF) !== 0 ? '-Inf' : '',
  ].filter((sign) => sign !== '');
  return [
    signs.length > 0 ? `${signs.join(', ')} in these steps` : '',
    (flags & FLAG_NO_GRADIENT) !== 0 ? `no ${what} in some or all steps` : '',
    (flags & FLAG_INCOMPLETE) !== 0 ? 'still being recorded' : '',
  ].filter((finding) => finding !== '');
}

function Findings({ flags, what }: { flags: number; what: string }) {
  const bad = (flags & (FLAG_NAN | FLAG_POS_INF | FLAG_NEG_INF)) !== 0;
  return findingsOf(flags, what).map((finding, i) => (
    <div key={finding} class={bad && i === 0 ? 'finding bad' : 'finding'}>
      {finding}
    </div>
  ));
}

interface ExactProps {
  exact: CellFigures;
  metric: Metric;
  what: string;
  sampled: boolean;
  isTensor: boolean;
  pathOf: (node: number) => string;
}

function Exact({ exact, metric, what, sampled, isTensor, pathOf }: ExactProps) {
  const figures = exact.metrics.get(metric.name);
  const count = (name: string) => exact.counts.get(name) ?? 0;
  const value = (figure: number | null | undefined) => formatValue(figure ?? Number.NaN, metric.kind);
  const bad = count('nan') + count('pos_inf') + count('neg_inf') > 0;
  return (
    <dl>
      <dt>mean · min · max</dt>
      <dd>
        {value(figures?.mean)} · {value(figures?.min)} · {value(figures?.max)}
      </dd>
      {!isTensor && figures?.worst_node != null && (
        <>
          <dt>worst tensor inside</dt>
          <dd>
            {value(figures.worst)} in <bdi>{shortened(pathOf(figures.worst_node), NAME_CHARACTERS)}</bdi>
            {figures.worst_steps !== null && `, ${formatSteps(...figures.worst_steps)}`}
          </dd>
        </>
      )}
      <dt>NaN · +Inf · -Inf</dt>
      <dd class={bad ? 'bad' : ''}>
        {formatCount(count('nan'))} · {formatCount(count('pos_inf'))} · {formatCount(count('neg_inf'))}
        {exact.first_bad !== null && `, first at step ${formatCount(exact.first_bad)}`}
      </dd>
      <dt>zero · near zero · saturated</dt>
      <dd>
        {formatCount(count('zero'))} · {formatCount(count('near_zero'))} · {formatCount(count('saturated'))}{' '}
        of {formatCount(count('count'))}
      </dd>
      <dt>
        with <bdi>{what}</bdi>
      </dt>
      <dd>
        in {formatCount(exact.with_data)} of {plural(exact.recorded, sampled ? 'sampled step' : 'step')}
      </dd>
    </dl>
  );
}

function ReadOut({ store, pointing, figures, beside }: Omit<Props, 'beneath' | 'atCursor'>) {
  const [text, setText] = useState('');
  const cell = pointing.pointed.value;
  const spoken =
    cell?.by === 'cursor'
      ? [sentence(store, pointing, cell, figures.of(cell)), beside?.words(cell) ?? ''].join('. ')
      : '';
  useEffect(() => {
    const timer = setTimeout(() => {
      setText(spoken);
    }, READ_OUT_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [spoken]);
  return (
    <div class="visually-hidden" role="status" aria-live="polite" data-testid="read-out">
      {text}
    </div>
  );
}

function sentence(store: Store, pointing: Pointing, cell: Pointed, exact: CellFigures | null): string {
  const [metric, view, shown] = [store.metric.value, store.view.value, pointing.shownValue(cell)];
  if (metric === null || view === null) return '';
  const parts = [
    `${pointing.pathOf(cell.node)}, ${stepsText(store, cell, exact)}`,
    `${store.stream.value?.label ?? ''}, ${metric.label}, ${view.label}: ${valueText(metric, view.name, shown, exact)}`,
    ...findingsOf(shown?.flags ?? 0, store.what.value),
    exact?.first_bad == null ? '' : `first NaN or Inf at step ${formatCount(exact.first_bad)}`,
  ];
  return parts.filter((part) => part !== '').join('. ');
}

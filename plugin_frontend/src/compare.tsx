import { computed } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { RefObject } from 'preact';
import { Axis } from './axis.tsx';
import { CellFrame } from './cell_frame.tsx';
import type { Drill } from './drill/drill.ts';
import type { Metric } from './contract.ts';
import { formatSteps, formatValue, px, shortened } from './format.ts';
import { Gestures } from './gestures.ts';
import { Heatmap } from './heatmap.ts';
import { type LinkedRun, differenceOf } from './linked.ts';
import { LinkedPainter } from './linked_painter.ts';
import { shortName } from './model.ts';
import type { Navigation } from './navigation.ts';
import type { Pointed, Pointing } from './pointing.ts';
import { cellEdgeDevicePx } from './scales.ts';
import { StepLine } from './step_line.tsx';
import type { Store } from './store.ts';
import type { Theme } from './theme.ts';
import { findingsOf, placeOf } from './tooltip.tsx';
import { cellAtCssPx, rowCssPx, rowTopDevicePx, rowsInView } from './viewport.ts';

const NAME_CHARACTERS = 60;

interface Props {
  store: Store;
  linked: LinkedRun;
}

interface SecondProps extends Props {
  pointing: Pointing;
  navigation: Navigation;
  drill: Drill;
  theme: { readonly value: Theme };
  element: RefObject<HTMLDivElement | null>;
  /** The first heatmap, where the cursor is. */
  first: RefObject<HTMLElement | null>;
}

/** Whose heatmap the first one is, and where its tree differs from the other's. */
export function FirstHeading({ store, linked }: Props) {
  const [treeA, treeB] = [store.tree.value, linked.tree.value];
  const difference = useMemo(
    () => (treeA === null || treeB === null ? null : differenceOf(treeA, treeB, 'A', 'B')),
    [treeA, treeB],
  );
  return (
    <div class="compare-heading" data-testid="first-heading">
      <b>A</b> <RunName name={store.meta.value?.label ?? ''} />
      <span class="quiet" data-testid="differences">
        {difference ?? (treeB === null ? '' : 'the same modules and tensors in both')}
      </span>
    </div>
  );
}

function RunName({ name }: { name: string }) {
  return (
    <bdi class="run-name" title={name.slice(0, 500)}>
      {shortened(name, NAME_CHARACTERS)}
    </bdi>
  );
}

/** The second run: heading, axis and heatmap in the rows and at the size of the first. */
export function Second({ element, ...props }: SecondProps) {
  const { store, linked, pointing, navigation } = props;
  const obstacle = linked.obstacle.value;
  const { widthDevicePx, heightDevicePx, devicePixelRatio } = store.size.value;
  const size = { width: px(widthDevicePx / devicePixelRatio), height: px(heightDevicePx / devicePixelRatio) };
  const name = linked.run.value?.label ?? linked.name.value ?? '';
  return (
    <section class="second" aria-label="The run compared with" data-testid="second">
      <div class="compare-heading">
        <b>B</b> <RunName name={name} />
        <button
          type="button"
          class="plain"
          data-testid="compare-close"
          aria-label="Close the second run"
          title="Close the second run"
          onClick={() => {
            linked.choose(null);
          }}
        >
          ✕
        </button>
      </div>
      <div class="second-names-head" />
      {obstacle === null ? <Axis store={store} /> : <div class="axis" />}
      {store.marks.value.length > 0 && <div class="strip-room" />}
      <RowNames store={store} />
      <div class="heatmap" ref={element} style={size}>
        {obstacle === null ? (
          <SecondCanvas {...props} />
        ) : (
          <p class="second-message" role="status" data-testid="second-message">
            <bdi>{obstacle}</bdi>
          </p>
        )}
        <Hairline store={store} pointing={pointing} />
        <StepLine store={store} step={pointing.stepElsewhere.value} kind="hairline" />
        <CellFrame rect={navigation.box.value} kind="box" />
      </div>
    </section>
  );
}

function SecondCanvas({
  store,
  linked,
  pointing,
  navigation,
  drill,
  theme,
  first,
}: Omit<SecondProps, 'element'>) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const found = canvas.current;
    if (found === null) return undefined;
    const painter = new LinkedPainter(found, new Heatmap(found), store, linked, () => theme.value);
    const changes = computed(() => [linked.scene.value, store.tables.value, theme.value]);
    const pointed = (inside: boolean) => () => (linked.pointed.value = inside);
    const stop = new AbortController();
    found.addEventListener('pointerenter', pointed(true), { signal: stop.signal });
    found.addEventListener('pointerleave', pointed(false), { signal: stop.signal });
    const focusFirst = (event: MouseEvent) => {
      event.preventDefault();
      first.current?.querySelector('canvas')?.focus({ preventScroll: true });
    };
    // A press here is one on the first heatmap, whose keys go on from the cell.
    found.addEventListener('mousedown', focusFirst, { signal: stop.signal });
    const endings = [
      changes.subscribe(() => {
        painter.schedule();
      }),
      // Both canvases have the same size and axis: a place on one is the same place on the other.
      new Gestures(found, store, pointing, navigation, ofSecond(drill)).attach(false),
    ];
    return () => {
      stop.abort();
      linked.pointed.value = false;
      for (const end of endings) end();
    };
  }, [store, linked, pointing, navigation, drill, theme, first]);
  const what = [store.stream.value, store.metric.value, store.view.value].map((one) => one?.label ?? '');
  return (
    <canvas
      ref={canvas}
      data-testid="second-heatmap"
      role="img"
      aria-label={`The second run: ${what.join(', ')}. The cursor of the first heatmap reads out both.`}
    />
  );
}

/** What is opened here is the second run's. */
function ofSecond(drill: Drill): Pick<Drill, 'enter' | 'togglePin'> {
  return {
    enter: (by) => {
      drill.enter(by, 'second');
    },
    togglePin: (key) => {
      drill.togglePin(key);
    },
  };
}

/** Below the first heatmap the rows need their names again; beside it the tree is theirs as well. */
function RowNames({ store }: { store: Store }) {
  const [tree, nodes, viewport] = [store.tree.value, store.nodes.value, store.viewport.value];
  if (tree === null) return null;
  const [first, end] = rowsInView(viewport, nodes.length);
  return (
    <div class="second-names" aria-hidden="true">
      {Array.from(nodes.subarray(first, end), (node, i) => (
        <bdi
          key={node}
          style={{
            top: px(rowTopDevicePx(viewport, first + i) / viewport.devicePixelRatio),
            lineHeight: px(rowCssPx(viewport.devicePixelRatio)),
            paddingLeft: px(12 + 10 * Math.min(6, tree.depths[node] ?? 0)),
          }}
        >
          {shortened(shortName(tree, node), NAME_CHARACTERS)}
        </bdi>
      ))}
    </div>
  );
}

/** The step of the cell that is pointed at, as a line through a heatmap. */
export function Hairline({ store, pointing }: { store: Store; pointing: Pointing }) {
  const [pointed, scale] = [pointing.pointed.value, store.scale.value];
  if (scale === null) return null;
  const pointer = store.pointer.value;
  const ratio = store.size.value.devicePixelRatio;
  const edges = pointed === null ? null : [pointed.index, pointed.index + 1];
  const [left, right] = edges?.map((cell) => cellEdgeDevicePx(scale, cell) / ratio) ?? [];
  const x = left !== undefined && right !== undefined ? (left + right) / 2 : pointer?.cssX;
  if (x === undefined) return null;
  return <div class="cell-line" data-testid="hairline" style={{ left: px(x) }} />;
}

/** The second run's value in the cell that is pointed at, for the tooltip of the first. */
export function ValueBeside({ store, linked, pointed }: Props & { pointed: Where }) {
  const metric = store.metric.value;
  if (linked.name.value === null || metric === null || linked.obstacle.value !== null) return null;
  const beside = linked.valueBeside(pointed);
  return (
    <div class="beside" data-testid="value-beside">
      B <RunName name={linked.run.value?.label ?? ''} />: <b>{besideText(store, linked, metric, pointed)}</b>
      {beside !== null && <div class="about">{formatSteps(...beside.steps)}</div>}
      {findingsOf(beside?.flags ?? 0, store.what.value).map((finding) => (
        <div key={finding} class="finding">
          {finding}
        </div>
      ))}
    </div>
  );
}

/** Above the first run's figures while two are compared: whose they are, below those of the run that is pointed at. */
export function ToldFirst({ store, linked, pointed }: Props & { pointed: Where }) {
  if (linked.name.value === null) return null;
  const isSecond = linked.pointed.value;
  return (
    <>
      {isSecond && <ValueBeside store={store} linked={linked} pointed={pointed} />}
      <div class={isSecond ? 'beside' : ''} data-testid="tooltip-run">
        A <RunName name={store.meta.value?.label ?? ''} />
        {isSecond && ', in the same place:'}
      </div>
    </>
  );
}

/** For the read-out; nothing where there is no second run. */
export function besideWords(store: Store, linked: LinkedRun, pointed: Pointed): string {
  const metric = store.metric.value;
  if (linked.name.value === null || metric === null || linked.obstacle.value !== null) return '';
  return `Second run: ${besideText(store, linked, metric, pointed)}`;
}

type Where = Pick<Pointed, 'row' | 'level' | 'index'>;

function besideText(store: Store, linked: LinkedRun, metric: Metric, pointed: Where): string {
  if ((linked.nodes.value[pointed.row] ?? -1) < 0) return 'not in this run';
  const beside = linked.valueBeside(pointed);
  const size = (store.grid.value?.cell ?? 1) * 2 ** pointed.level;
  const [first, end] = linked.meta.value?.steps ?? [0, 0];
  if ((pointed.index + 1) * size <= first || pointed.index * size >= end) return 'no such steps';
  if (beside === null) return 'loading';
  const rough = Number.isFinite(beside.value) && beside.value !== 0 ? '≈ ' : '';
  return rough + formatValue(beside.value, metric.kind, 3);
}

interface BesideProps extends Props {
  pointing: Pointing;
  second: RefObject<HTMLElement | null>;
}

/** The tooltip where only the second run has steps. */
export function BesideTooltip({ store, linked, pointing, second }: BesideProps) {
  const [pointer, scene, pointed] = [store.pointer.value, store.scene.value, pointing.pointed.value];
  if (pointer === null || scene === null || pointed !== null || linked.scene.value === null) return null;
  const { row, cell: index } = cellAtCssPx(scene.viewport, scene.scale, pointer.cssX, pointer.cssY);
  const node = scene.nodes[row];
  const where = { row, level: scene.scale.level, index };
  if (node === undefined || linked.valueBeside(where) === null) return null;
  const beneath = linked.pointed.value ? second.current : null;
  const rect = { x: pointer.cssX, y: pointer.cssY, width: 0, height: 0 };
  return (
    <div class="tooltip" data-testid="tooltip" role="tooltip" style={placeOf(store, { rect }, beneath)}>
      <bdi class="path">{pointing.pathOf(node)}</bdi>
      <div class="about">A has no such steps</div>
      <ValueBeside store={store} linked={linked} pointed={where} />
    </div>
  );
}

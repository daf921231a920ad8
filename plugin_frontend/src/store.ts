import { batch, computed, signal } from '@preact/signals';
import type { Layer } from './api.ts';
import { type ColourMap, colourFamily, colourTable } from './colours.ts';
import type { Meta, Notes, Run, ScaleName } from './contract.ts';
import { type Filter, NO_FILTER } from './filter.ts';
import { marksOf } from './marks.ts';
import { type Open, type Tree, buildTree, openFirstLook, sameNodes } from './model.ts';
import type { Painted } from './heatmap.ts';
import { MODEL_ORDER, type Order } from './ordering.ts';
import { Outline } from './outline.ts';
import type { Scene } from './picture.ts';
import type { Range, Ranges } from './ranges.ts';
import { type Grid, type StepWindow, clampWindow, extended, stepScale, wholeRun } from './scales.ts';
import { shortened } from './format.ts';
import { metricAfter, openAfter } from './streams.ts';
import type { TileStore } from './tile_store.ts';
import { type Viewport, rowDevicePx } from './viewport.ts';

/** The heatmap's size, as the browser laid it out. */
export type CanvasSize = Omit<Viewport, 'scrollDevicePx'>;

/** What the page is about: the heatmap, or why there is none. */
export type Screen =
  'loading' | 'empty' | 'missing' | 'none' | 'waiting' | 'unreadable' | 'refused' | 'heatmap';

/** A node and a step: stays where it is when the level or the order of nodes changes. */
export interface Place {
  readonly key: string;
  readonly step: number;
}

const WORD_CHARACTERS = 40;

const NOTHING_PAINTED: Painted = { complete: false, nonFiniteCells: 0, nonFiniteNodes: new Set() };

/** All that the page shows, as signals, and the changes that people and the backend make to it. */
export class Store {
  readonly runs = signal<readonly Run[] | null>(null);
  readonly runName = signal<string | null>(null);
  readonly meta = signal<Meta | null>(null);
  readonly tree = signal<Tree | null>(null);
  /** What happened in the run, as far as it has been fetched. */
  readonly notes = signal<Notes | null>(null);
  readonly connection = signal<'ok' | 'gone' | 'back'>('ok');
  /** Why the backend could not give what was asked for. */
  readonly refusal = signal<string | null>(null);

  readonly open = signal<Open>(new Set());
  readonly filter = signal<Filter>(NO_FILTER);
  readonly order = signal<Order>(MODEL_ORDER);
  /** Steps [first, end) of the cell that was last clicked, which an order by a metric is about. */
  readonly orderSteps = signal<readonly [number, number] | null>(null);
  /** The module that alone is shown, if any. */
  readonly rootKey = signal<string | null>(null);
  readonly outline = new Outline(this);
  readonly activeKey = signal<string | null>(null);
  readonly size = signal<CanvasSize>({ widthDevicePx: 0, heightDevicePx: 0, devicePixelRatio: 1 });
  /** The heatmap's left edge in the page: what stands above and below it begins there as well. */
  readonly leftCssPx = signal(0);
  readonly topCssPx = signal(0);
  readonly scrollCssPx = signal(0);
  /** Null is the whole run, which grows with it. */
  readonly window = signal<StepWindow | null>(null);
  /** Locked when first computed, until another metric, view or run is chosen or the user fits them. */
  readonly ranges = signal<(Ranges & { fromData: boolean }) | null>(null);
  /** Ranges that people hold, by stream, metric and scale: no switch of metric, view or run takes them away. */
  readonly heldRanges = signal<ReadonlyMap<string, Range>>(new Map());
  readonly colourMaps = signal<Record<'sequential' | 'diverging', ColourMap>>({
    sequential: 'cividis',
    diverging: 'rdbu',
  });
  /** The steps of the run beside this one, which shares its axis; awaited until they are known. */
  readonly beside = signal<readonly [number, number] | 'awaited' | null>(null);
  readonly pointer = signal<{ cssX: number; cssY: number } | null>(null);
  readonly cursor = signal<Place | null>(null);
  readonly cursorShown = signal(false);
  /** Grows when tiles have come. */
  readonly tilesArrived = signal(0);
  readonly painted = signal<Painted>(NOTHING_PAINTED);
  /** Whether the run's first picture is there, as far as its tiles have come: what stands beside it waits for that. */
  readonly pictured = signal(false);

  /** The one that was chosen; null is the first one. */
  readonly streamName = signal<string | null>(null);
  private readonly metricName = signal<string | null>(null);
  private readonly viewName = signal<string | null>(null);
  private readonly scaleNames = signal<ReadonlyMap<string, ScaleName>>(new Map());
  private readonly openByRun = new Map<string, Open>();
  /** Of the run's streams that have been looked at; streams of the same tensors share one. */
  private readonly trees = new Map<string, Tree>();
  /** The metric of each stream that was left for another one. */
  private readonly metricLeft = new Map<string, string>();
  /** Whether somebody has chosen the run: until then it is the best one. */
  chosenByUser = false;

  constructor(readonly tiles: TileStore) {}

  readonly run = computed(() => this.runs.value?.find((run) => run.name === this.runName.value) ?? null);
  /** The stream that is shown; another one may be on its way. */
  readonly stream = computed(() => chosen(this.meta.value?.streams, this.meta.value?.stream ?? null));
  /** The one that was chosen, or the first one where the run does not have it. */
  readonly nextStream = computed(() => chosen(this.meta.value?.streams, this.streamName.value));
  /** What a tensor of the stream is, in a word. */
  readonly what = computed(() => shortened(this.stream.value?.what ?? '', WORD_CHARACTERS));
  readonly metric = computed(() => chosen(this.meta.value?.metrics, this.metricName.value));
  readonly view = computed(() => chosen(this.meta.value?.views, this.viewName.value));

  readonly scaleName = computed<ScaleName>(() => {
    const metric = this.metric.value;
    return metric === null ? 'linear' : (this.scaleNames.value.get(metric.name) ?? metric.scale);
  });

  readonly screen = computed<Screen>(() => {
    if (this.runs.value === null) return this.refusal.value === null ? 'loading' : 'refused';
    if (this.runs.value.every((run) => run.status === 'none')) return 'empty';
    if (this.run.value === null) return 'missing';
    if (this.run.value.status !== 'ok') return this.run.value.status;
    if (this.meta.value === null) return this.refusal.value === null ? 'loading' : 'refused';
    return this.hasData.value ? 'heatmap' : 'waiting';
  });

  private readonly hasData = computed(() => {
    const meta = this.meta.value;
    return (
      meta !== null &&
      meta.steps[1] > meta.steps[0] &&
      meta.nodes.name.length > 0 &&
      this.layer.value !== null
    );
  });

  readonly layer = computed<Layer | null>(() => {
    const [run, stream, metric, view] = [
      this.meta.value?.run,
      this.stream.value,
      this.metric.value,
      this.view.value,
    ];
    if (run === undefined || stream === null || metric === null || view === null) return null;
    return { run, stream: stream.name, metric: metric.name, view: view.name };
  });

  readonly marks = computed(() => marksOf(this.meta.value?.sessions ?? [], this.notes.value?.notes ?? []));

  readonly grid = computed<Grid | null>(() => {
    const meta = this.meta.value;
    return meta === null ? null : { steps: meta.steps, cell: meta.cell, levels: meta.levels };
  });

  /** What the axis may show. */
  readonly extent = computed<Grid | null>(() => {
    const [grid, beside] = [this.grid.value, this.beside.value];
    return grid === null || beside === null || beside === 'awaited' ? grid : extended(grid, beside);
  });

  readonly nodes = computed(() => this.outline.rows.value.nodes);

  readonly viewport = computed<Viewport>(() => {
    const size = this.size.value;
    const contentDevicePx = this.nodes.value.length * rowDevicePx(size.devicePixelRatio);
    const wanted = Math.round(this.scrollCssPx.value * size.devicePixelRatio);
    return { ...size, scrollDevicePx: Math.max(0, Math.min(wanted, contentDevicePx - size.heightDevicePx)) };
  });

  readonly scale = computed(() => {
    const [grid, { widthDevicePx }] = [this.extent.value, this.size.value];
    if (grid === null || !this.hasData.value || widthDevicePx === 0) return null;
    return stepScale(grid, this.window.value ?? wholeRun(grid, widthDevicePx), widthDevicePx);
  });

  readonly scene = computed<Scene | null>(() => {
    const [scale, own, layer] = [this.scale.value, this.grid.value, this.layer.value];
    if (scale === null || own === null || layer === null) return null;
    const grid = { ...own, levels: this.extent.value?.levels ?? own.levels };
    const tileAt: Scene['tileAt'] = (id) => this.tiles.get(layer, id);
    const arrivals = this.tilesArrived.value;
    return { scale, grid, tileAt, arrivals, nodes: this.nodes.value, viewport: this.viewport.value };
  });

  private readonly heldRange = computed(
    () => this.heldRanges.value.get(this.rangeKey(this.scaleName.value)) ?? null,
  );
  readonly rangeIsHeld = computed(() => this.heldRange.value !== null);
  readonly range = computed(() => this.heldRange.value ?? this.ranges.value?.[this.scaleName.value] ?? null);

  readonly colourFamily = computed(() =>
    colourFamily(this.metric.value?.kind ?? 'magnitude', this.scaleName.value),
  );
  readonly colourMap = computed(() => this.colourMaps.value[this.colourFamily.value]);

  readonly tables = computed(() => {
    const [range, map] = [this.range.value, this.colourMap.value];
    if (range === null) return null;
    const plain = colourTable(range, false, map);
    return { plain, folded: range.kind === 'fraction' ? colourTable(range, true, map) : plain };
  });

  receiveRuns(runs: readonly Run[]): void {
    batch(() => {
      this.runs.value = runs;
      const current = runs.find((run) => run.name === this.runName.peek());
      if (this.chosenByUser || current?.status === 'ok') return;
      const best = ['ok', 'waiting', 'unreadable', 'none']
        .map((status) => runs.find((run) => run.status === status))
        .find((run) => run !== undefined);
      if (best !== undefined) this.enter(best.name);
    });
  }

  chooseRun(name: string): void {
    this.chosenByUser = true;
    this.enter(name);
  }

  private enter(name: string): void {
    if (name === this.runName.peek()) return;
    batch(() => {
      this.runName.value = name;
      this.meta.value = null;
      this.trees.clear();
      this.notes.value = null;
      this.refusal.value = null;
      this.window.value = null;
      this.cursor.value = null;
      this.orderSteps.value = null;
      this.scrollCssPx.value = 0;
      this.pictured.value = false;
      this.forgetRange();
    });
  }

  /** Takes over a run's new figures, and keeps folds, zoom and cursor where they are. */
  receiveMeta(next: Meta): void {
    // Of two answers on their way, only that for the stream that was chosen last counts.
    const wanted = chosen(next.streams, this.streamName.peek());
    if (next.run !== this.runName.peek() || next.stream !== wanted?.name) return;
    const [previous, shown, before] = [this.meta.peek(), this.tree.peek(), this.trees.get(next.stream)];
    const built = buildTree(next.nodes);
    const tree = [before, shown].find((one) => one != null && sameNodes(one, built)) ?? built;
    batch(() => {
      this.refusal.value = null;
      this.tree.value = tree;
      if (previous === null) {
        const inherited = tree === shown ? this.open.peek() : openFirstLook(tree);
        this.open.value = this.openByRun.get(next.run) ?? inherited;
      } else if (previous.stream !== next.stream) this.turn(previous, next, tree);
      this.trees.set(next.stream, tree);
      this.meta.value = next;
      this.keepWindowInside();
    });
    if (previous === null) return;
    if ((before ?? tree) !== tree || previous.cell !== next.cell || next.revision < previous.revision)
      this.tiles.forget(next.run);
    else this.tiles.invalidate(next.run, next, firstChangedStep(previous, next));
    this.tilesArrived.value++;
  }

  /** From one stream to another of the same run: what both have stays. */
  private turn(previous: Meta, next: Meta, tree: Tree): void {
    const metric = this.metric.peek()?.name;
    if (metric !== undefined) this.metricLeft.set(previous.stream, metric);
    this.metricName.value = metricAfter(previous, next, metric, this.metricLeft.get(next.stream));
    this.open.value = openAfter(this.open.peek(), this.trees.values(), tree);
    this.forgetRange();
  }

  /** Null is the first one. What is shown stays until the other one is here. */
  chooseStream(name: string | null): void {
    this.streamName.value = name;
  }

  chooseMetric(name: string): void {
    batch(() => {
      this.metricName.value = name;
      this.forgetRange();
    });
  }

  chooseView(name: string): void {
    batch(() => {
      this.viewName.value = name;
      this.forgetRange();
    });
  }

  chooseScale(name: ScaleName): void {
    const metric = this.metric.peek();
    if (metric !== null) this.scaleNames.value = new Map([...this.scaleNames.peek(), [metric.name, name]]);
  }

  chooseColourMap(name: ColourMap): void {
    this.colourMaps.value = { ...this.colourMaps.peek(), [this.colourFamily.peek()]: name };
  }

  /** Keeps a range for the shown stream and metric, on the range's scale. */
  holdRange(range: Range): void {
    this.heldRanges.value = new Map([...this.heldRanges.peek(), [this.rangeKey(range.scale), range]]);
  }

  /** Back to the robust range of the shown stream and metric, on the shown scale. */
  releaseRange(): void {
    const held = new Map(this.heldRanges.peek());
    held.delete(this.rangeKey(this.scaleName.peek()));
    this.heldRanges.value = held;
  }

  private rangeKey(scale: ScaleName): string {
    return [this.stream.value?.name, this.metric.value?.name, scale].join('\n');
  }

  private forgetRange(): void {
    this.refusal.value = null;
    this.ranges.value = null;
    this.painted.value = NOTHING_PAINTED;
  }

  /** Folds the rows that there are: while there is a filter, those that it leaves. */
  setOpen(open: Open): void {
    if (!this.outline.setFilteredOpen(open)) this.setWholeOpen(open);
  }

  /** Folds the whole tree, whatever the filter leaves of it. */
  setWholeOpen(open: Open): void {
    this.open.value = open;
    const run = this.meta.peek()?.run;
    if (run !== undefined) this.openByRun.set(run, open);
  }

  /** Shows these steps; as much as the whole run, or more, is the whole run. */
  zoomTo(window: StepWindow): void {
    const grid = this.grid.peek();
    const beside = this.beside.peek();
    // The run that is on its way may have any steps.
    const further =
      beside === 'awaited' ? ([Math.floor(window.start), Math.ceil(window.end)] as const) : beside;
    const extent = grid === null || further === null ? grid : extended(grid, further);
    if (extent !== null) this.window.value = clampWindow(extent, window, this.size.peek().widthDevicePx);
  }

  /** The steps that the axis covers beside the run's own, once they are known; a zoom stays within what there is. */
  showBeside(steps: readonly [number, number] | null): void {
    batch(() => {
      this.beside.value = steps;
      this.keepWindowInside();
    });
  }

  private keepWindowInside(): void {
    const window = this.window.peek();
    if (window !== null && this.size.peek().widthDevicePx > 0) this.zoomTo(window);
  }
}

function chosen<T extends { name: string }>(
  options: readonly T[] | undefined,
  name: string | null,
): T | null {
  return options?.find((option) => option.name === name) ?? options?.[0] ?? null;
}

/** Where new figures begin: at the old end, or at the first step that a new session replaces. */
export function firstChangedStep(previous: Meta, next: Meta): number {
  if (previous.steps[0] !== next.steps[0]) return Number.NEGATIVE_INFINITY;
  const known = new Set(previous.sessions.map((session) => session.id));
  const starts = next.sessions.filter((session) => !known.has(session.id)).map((session) => session.start);
  return Math.min(previous.steps[1], ...starts);
}

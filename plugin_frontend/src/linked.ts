import { batch, computed, effect, signal } from '@preact/signals';
import { type Api, type Layer, Unreachable } from './api.ts';
import { valueOf } from './colours.ts';
import type { Meta } from './contract.ts';
import { type Tree, buildTree, sameNodes } from './model.ts';
import type { Scene } from './picture.ts';
import type { Pointed } from './pointing.ts';
import { extended, stepScale } from './scales.ts';
import { type Store, firstChangedStep } from './store.ts';
import { TILE_CELLS, TILE_ROWS } from './tiles.ts';
import type { TileStore } from './tile_store.ts';

/** What a run shows of some steps of a row: the extreme or the mean of its cells there. */
export interface LinkedValue {
  readonly value: number;
  readonly flags: number;
  /** The steps of these cells. */
  readonly steps: readonly [number, number];
}

/**
 * A second run, seen through what is chosen for the first: same rows, stream, metric, view, colours and steps. It has
 * tree, cells and tiles of its own; all the rest is the first one's, so nothing has to be kept in step.
 */
export class LinkedRun {
  readonly name = signal<string | null>(null);
  readonly meta = signal<Meta | null>(null);
  readonly refusal = signal<string | null>(null);
  /** Grows when tiles have come. */
  readonly tilesArrived = signal(0);
  readonly complete = signal(false);
  /** The pointer is over this run's heatmap, not over the first one's. */
  readonly pointed = signal(false);
  private loading: string | null = null;

  constructor(
    private readonly store: Store,
    readonly tiles: TileStore,
    private readonly api: Pick<Api, 'meta'>,
  ) {}

  readonly run = computed(() => this.store.runs.value?.find((run) => run.name === this.name.value) ?? null);

  readonly tree = computed<Tree | null>(() => {
    const nodes = this.meta.value?.nodes;
    return nodes === undefined ? null : buildTree(nodes);
  });

  private readonly nodeByKey = computed(() => new Map(this.tree.value?.keys.map((key, node) => [key, node])));

  /** This run's node in each row of the first, −1 where it has none. */
  readonly nodes = computed(() => {
    const keys = this.store.tree.value?.keys ?? [];
    return this.store.nodes.value.map((node) => this.nodeByKey.value.get(keys[node] ?? '') ?? -1);
  });

  readonly layer = computed<Layer | null>(() => {
    const [meta, layer] = [this.meta.value, this.store.layer.value];
    if (meta === null || layer === null) return null;
    const shown =
      meta.stream === layer.stream && has(meta.metrics, layer.metric) && has(meta.views, layer.view);
    return shown ? { ...layer, run: meta.run } : null;
  });

  readonly scene = computed<Scene | null>(() => {
    const [meta, layer, shared] = [this.meta.value, this.layer.value, this.store.scene.value];
    const extent = this.store.extent.value;
    if (meta === null || layer === null || shared === null || extent === null) return null;
    const { steps, cell, levels } = meta;
    const grid = { ...extended({ steps, cell, levels }, extent.steps), steps };
    const { start, end, widthDevicePx } = shared.scale;
    return {
      scale: stepScale(grid, { start, end }, widthDevicePx),
      grid,
      tileAt: (id) => this.tiles.get(layer, id),
      arrivals: this.tilesArrived.value,
      nodes: this.nodes.value,
      viewport: shared.viewport,
    };
  });

  /** Why there is no heatmap of this run; null where there is one. */
  readonly obstacle = computed<string | null>(() => {
    const [run, meta] = [this.run.value, this.meta.value];
    if (run === null) return 'This run is gone: TensorBoard does not list it any more.';
    if (run.status === 'none') return 'No Grad Health data in this run.';
    if (run.status === 'unreadable') return run.problem ?? 'This run cannot be read.';
    if (run.status === 'waiting') return run.problem ?? 'Waiting for the first row of this run.';
    if (this.refusal.value !== null) return this.refusal.value;
    if (meta === null) return 'Loading…';
    if (this.layer.value !== null || this.store.layer.value === null) return null;
    const [stream, metric] = [this.store.stream.value, this.store.metric.value];
    if (!this.hasStream.value) return `Run B has no such stream: ${stream?.label ?? ''}.`;
    if (meta.stream !== stream?.name) return 'Loading…';
    return `This run has no ${stream.label}, ${metric?.label ?? ''}.`;
  });

  private readonly hasStream = computed(() =>
    has(this.meta.value?.streams ?? [], this.store.stream.value?.name ?? ''),
  );

  /** Whether what is known is of the shown stream, or of the first one for want of it. */
  private readonly isOfStream = computed(
    () => !this.hasStream.value || this.meta.value?.stream === this.store.stream.value?.name,
  );

  /** Whether it is still to come what this run has. */
  private readonly awaited = computed(
    () =>
      this.run.value?.status === 'ok' &&
      this.refusal.value === null &&
      (this.meta.value === null || !this.isOfStream.value),
  );

  choose(name: string | null): void {
    if (name === this.name.peek()) return;
    batch(() => {
      this.name.value = name;
      this.meta.value = null;
      this.refusal.value = null;
      this.complete.value = false;
      this.pointed.value = false;
      if (name !== null) this.store.beside.value = 'awaited';
    });
  }

  start(): void {
    effect(() => {
      const [run, connection] = [this.run.value, this.store.connection.value];
      const stream = this.store.stream.value?.name ?? this.store.streamName.value;
      if (run?.status !== 'ok') return;
      // After an outage the server may be another process, whose revisions mean something else.
      if (connection === 'back') this.tiles.forget(run.name);
      const known = this.meta.peek();
      const current = known?.run === run.name && known.revision === run.revision && this.isOfStream.peek();
      if (connection === 'back' || !current || this.refusal.peek() !== null) void this.load(run.name, stream);
      else this.tiles.resume();
    });
    effect(() => {
      const [name, awaited, obstacle] = [this.name.value, this.awaited.value, this.obstacle.value];
      if (name !== null && awaited) return;
      this.store.showBeside(obstacle === null ? (this.meta.value?.steps ?? null) : null);
    });
    // The first run may become the one that stood beside it: there is nothing to compare any more.
    effect(() => {
      if (this.name.value !== null && this.name.value === this.store.runName.value) this.choose(null);
    });
  }

  private async load(name: string, stream: string | null): Promise<void> {
    const question = JSON.stringify([name, stream]);
    if (this.loading === question) return;
    this.loading = question;
    try {
      this.receive(await this.api.meta(name, stream));
    } catch (error) {
      this.failed(error, name);
    } finally {
      if (this.loading === question) this.loading = null;
    }
  }

  /** Takes note of a failed request; that TensorBoard is gone is noticed, and said, by what polls it. */
  failed(error: unknown, name = this.name.peek()): void {
    if (error instanceof Unreachable || error instanceof DOMException || name !== this.name.peek()) return;
    this.refusal.value = error instanceof Error ? error.message : String(error);
  }

  receive(next: Meta): void {
    const shown = this.store.stream.peek()?.name ?? next.stream;
    // Of another stream, which was shown when this was asked for.
    if (next.run !== this.name.peek() || (next.stream !== shown && has(next.streams, shown))) return;
    const [previous, previousTree] = [this.meta.peek(), this.tree.peek()];
    batch(() => {
      this.meta.value = next;
      this.refusal.value = null;
    });
    if (previous === null || previousTree === null) return;
    const same =
      previous.stream === next.stream
        ? sameNodes(previousTree, buildTree(next.nodes)) && previous.cell === next.cell
        : previous.revision === next.revision;
    if (!same || next.revision < previous.revision) this.tiles.forget(next.run);
    else this.tiles.invalidate(next.run, next, firstChangedStep(previous, next));
    this.tilesArrived.value++;
  }

  /** What this run shows in the row and steps of a cell of the first one; null where nothing is known. */
  valueBeside({ row, level, index }: Pick<Pointed, 'row' | 'level' | 'index'>): LinkedValue | null {
    const [scene, layer, shared] = [this.scene.value, this.layer.value, this.store.grid.value];
    const node = scene?.nodes[row] ?? -1;
    if (scene === null || layer === null || shared === null || node < 0) return null;
    const { scale, grid } = scene;
    const size = shared.cell * 2 ** level;
    const begin = Math.max(index * size, grid.steps[0]);
    const end = Math.min((index + 1) * size, grid.steps[1]);
    if (begin >= end) return null;
    const cells = [Math.floor(begin / scale.cellSteps), Math.ceil(end / scale.cellSteps)] as const;
    const values: number[] = [];
    let flags = 0;
    for (let cell = cells[0]; cell < cells[1]; cell++) {
      const tile = scene.tileAt({
        level: scale.level,
        r: Math.floor(node / TILE_ROWS),
        c: Math.floor(cell / TILE_CELLS),
      });
      if (tile === undefined) return null;
      const at = (node % TILE_ROWS) * TILE_CELLS + (cell % TILE_CELLS);
      values.push(valueOf(tile.codes[at] ?? 0, tile.folded));
      flags |= tile.flags[at] ?? 0;
    }
    const steps = [
      Math.max(grid.steps[0], cells[0] * scale.cellSteps),
      Math.min(grid.steps[1], cells[1] * scale.cellSteps),
    ] as const;
    return { value: together(values, layer.view), flags, steps };
  }
}

function has(options: readonly { name: string }[], name: string): boolean {
  return options.some((one) => one.name === name);
}

/** Several cells' values as one, NaN where none of them has any. */
export function together(values: readonly number[], view: string): number {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return Number.NaN;
  if (view === 'mean') return known.reduce((sum, value) => sum + value, 0) / known.length;
  return view === 'min' ? Math.min(...known) : Math.max(...known);
}

/** Where two trees differ, in a line, by the names that stand for them; null where they do not. */
export function differenceOf(a: Tree, b: Tree, nameOfA: string, nameOfB: string): string | null {
  const only = (one: Tree, other: Tree) => {
    const known = new Set(other.keys);
    const counts = { total: 0, module: 0, tensor: 0 };
    one.keys.forEach((key, node) => {
      if (!known.has(key)) counts[one.kinds[node] ?? 'tensor']++;
    });
    return counts;
  };
  const said = ([name, { module, tensor }]: readonly [string, { module: number; tensor: number }]) => {
    const parts = [
      module > 0 ? `${module} ${module === 1 ? 'module' : 'modules'}` : '',
      tensor > 0 ? `${tensor} ${tensor === 1 ? 'tensor' : 'tensors'}` : '',
    ].filter((part) => part !== '');
    return parts.length === 0 ? '' : `${parts.join(' and ')} only in ${name}`;
  };
  const sides = [[nameOfA, only(a, b)] as const, [nameOfB, only(b, a)] as const].map(said);
  const told = sides.filter((side) => side !== '').join(', ');
  return told === '' ? null : told;
}

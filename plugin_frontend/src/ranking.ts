import { batch, computed, effect, signal } from '@preact/signals';
import type { Api, Layer } from './api.ts';
import type { NodeValues } from './contract.ts';
import type { Tree } from './model.ts';
import { type Order, ranksOf } from './ordering.ts';
import type { Store } from './store.ts';

/** A window that moves, while somebody pans or zooms, has settled after so long. */
const SETTLE_MS = 350;

/** Replies kept, each with a number for every node. */
const CAPACITY = 24;

/** The metric that tells how many elements are NaN or infinite; the other metrics leave these out. */
const NON_FINITE = 'nonfinite';

/** What an order needs: a value for each node of `layer` over the steps [begin, end). */
interface Wish {
  readonly tree: Tree;
  readonly order: Order;
  readonly layer: Layer;
  readonly begin: number;
  readonly end: number;
}

interface Ranked extends Wish {
  /** The whole rows that were read. */
  readonly steps: readonly [number, number];
  readonly revision: number;
}

/**
 * Fetches what the rows are ordered by. The order follows a choice of metric, view or order, a click on a cell, and a
 * window that has settled; it stays while the run grows, until somebody asks for it again, so that no row runs away
 * from under the pointer.
 */
export class Ranking {
  readonly waiting = signal(false);
  /** What the rows are ordered by now. */
  readonly ranked = signal<Ranked | null>(null);
  /** The name of the metric to order by, where the run has none of that name: its rows are in model order. */
  readonly lacking = signal<string | null>(null);
  private readonly asked = signal(0);
  /** Whether what was asked for last is still to come. */
  private owed = false;
  private readonly cache = new Map<string, NodeValues>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private flight: AbortController | null = null;

  constructor(
    private readonly api: Pick<Api, 'values'>,
    private readonly store: Store,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** The run has grown since, or the keyboard's cursor has gone to other steps. */
  readonly outdated = computed(() => {
    const [ranked, meta, cursor] = [this.ranked.value, this.store.meta.value, this.store.cursor.value];
    if (ranked === null || meta === null) return false;
    const elsewhere = cursor !== null && (cursor.step < ranked.begin || cursor.step >= ranked.end);
    return meta.revision > ranked.revision || (ranked.order.by === 'metric' && elsewhere);
  });

  /** What an order is made for anew, as text: the layer itself is another object whenever the run grows. */
  private readonly choice = computed(() => {
    const { by, metric, descending } = this.store.order.value;
    return JSON.stringify([this.store.layer.value, by, metric, descending]);
  });

  /** Where the window counts. */
  private readonly span = computed(() =>
    this.store.order.value.by === 'worst' ? this.store.window.value : null,
  );

  private readonly occasion = computed(() => {
    const { tree, orderSteps } = this.store;
    return [this.choice.value, tree.value, this.span.value, orderSteps.value, this.asked.value];
  });

  start(): () => void {
    const endings = [
      this.occasion.subscribe(() => {
        this.begin();
      }),
      effect(() => {
        if (this.store.connection.value !== 'gone' && this.owed) this.begin();
      }),
    ];
    return () => {
      for (const end of endings) end();
      this.cancel();
    };
  }

  /** Orders anew by what the run has come to, or by the cell that the keyboard's cursor has come to. */
  again(): void {
    batch(() => {
      this.asked.value++;
      if (this.store.order.peek().by === 'metric')
        this.store.orderSteps.value = this.cursorSteps() ?? this.store.orderSteps.peek();
    });
  }

  private begin(): void {
    this.cancel();
    const [wish, metrics] = [this.wish(), this.store.meta.peek()?.metrics ?? []];
    const isKnown = wish === null || metrics.some(({ name }) => name === wish.layer.metric);
    this.lacking.value = isKnown ? null : wish.layer.metric;
    this.owed = wish !== null && isKnown;
    if (wish === null || !isKnown) {
      [this.store.outline.ranks.value, this.ranked.value] = [null, null];
      return;
    }
    const ranked = this.ranked.peek();
    const moved = ranked !== null && sameChoice(ranked, wish) && wish.order.by === 'worst';
    this.timer = setTimeout(() => void this.rank(wish), moved ? SETTLE_MS : 0);
  }

  private wish(): Wish | null {
    const { store } = this;
    const [tree, layer, order, grid] = [
      store.tree.peek(),
      store.layer.peek(),
      store.order.peek(),
      store.grid.peek(),
    ];
    if (tree === null || layer === null || grid === null || order.by === 'model') return null;
    const [first, end] = grid.steps;
    if (order.by === 'worst') {
      const window = store.window.peek();
      const begin = clamp(Math.floor(window?.start ?? first), first, end - 1);
      return { tree, order, layer, begin, end: clamp(Math.ceil(window?.end ?? end), begin + 1, end) };
    }
    const [from, to] = store.orderSteps.peek() ?? this.cursorSteps() ?? [end - grid.cell, end];
    const begin = clamp(from, first, end - 1);
    const metric = order.metric ?? layer.metric;
    return { tree, order, layer: { ...layer, metric }, begin, end: clamp(to, begin + 1, end) };
  }

  /** The cell that the keyboard's cursor is on. */
  private cursorSteps(): [number, number] | null {
    const [cursor, scale] = [this.store.cursor.peek(), this.store.scale.peek()];
    if (cursor === null || scale === null) return null;
    const cell = Math.floor(cursor.step / scale.cellSteps);
    return [cell * scale.cellSteps, (cell + 1) * scale.cellSteps];
  }

  private async rank(wish: Wish): Promise<void> {
    const meta = this.store.meta.peek();
    const metric = meta?.metrics.find(({ name }) => name === wish.layer.metric);
    if (meta === null || metric === undefined) return;
    const flight = new AbortController();
    [this.flight, this.waiting.value] = [flight, true];
    try {
      const known = meta.metrics.some(({ name }) => name === NON_FINITE) && metric.name !== NON_FINITE;
      const badLayer = { ...wish.layer, metric: NON_FINITE, view: 'max' };
      const [{ steps, values }, bad] = await Promise.all([
        this.valuesOf(wish, wish.layer, meta.revision, flight.signal),
        known ? this.valuesOf(wish, badLayer, meta.revision, flight.signal) : null,
      ]);
      // Nodes of a tree that is not on the page yet, or not any more: its own ranks follow with it.
      if (flight.signal.aborted || values.length !== wish.tree.size) return;
      const descending = wish.order.descending ?? true;
      this.store.outline.ranks.value = ranksOf(wish.tree, values, {
        bad: bad?.values ?? null,
        descending,
        sizes: metric.kind === 'signed',
      });
      this.ranked.value = { ...wish, steps, revision: meta.revision };
      this.owed = false;
    } catch (error) {
      if (!flight.signal.aborted) this.failed(error);
    } finally {
      if (this.flight === flight) this.cancel();
    }
  }

  private async valuesOf(
    { begin, end }: Wish,
    layer: Layer,
    revision: number,
    signal: AbortSignal,
  ): Promise<NodeValues> {
    const key = JSON.stringify([layer, begin, end, revision]);
    const values = this.cache.get(key) ?? (await this.api.values(layer, begin, end, signal));
    this.cache.delete(key);
    this.cache.set(key, values);
    for (const oldest of this.cache.keys()) if (this.cache.size > CAPACITY) this.cache.delete(oldest);
    return values;
  }

  private cancel(): void {
    clearTimeout(this.timer);
    this.flight?.abort();
    [this.flight, this.waiting.value] = [null, false];
  }
}

/** All but the steps. */
function sameChoice(a: Wish, b: Wish): boolean {
  return (
    a.tree === b.tree &&
    a.order.by === b.order.by &&
    a.order.metric === b.order.metric &&
    a.order.descending === b.order.descending &&
    JSON.stringify(a.layer) === JSON.stringify(b.layer)
  );
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

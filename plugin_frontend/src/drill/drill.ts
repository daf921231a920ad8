import { batch, computed, signal } from '@preact/signals';
import type { Metric } from '../contract.ts';
import type { ValueScale } from '../lines/value_scale.ts';
import type { LinkedRun } from '../linked.ts';
import type { Store } from '../store.ts';
import { type Pin, toggled } from './pins.ts';

const LEAST_CSS_PX = 160;
/** The heatmap keeps at least this share of the page. */
const MOST_OF_PAGE = 0.65;

/** A line in the chart: the cursor's tensor, or a pinned one. */
export interface Shown {
  readonly key: string;
  /** Null where the present run has no such node. */
  readonly node: number | null;
  readonly style: number;
  readonly pinned: boolean;
  readonly atCursor: boolean;
}

/** The cell under the cursor: a node's steps [first, end). */
export interface CursorCell {
  readonly key: string;
  readonly node: number;
  readonly steps: readonly [number, number];
}

/** What stands beside the figures: lines over the steps, or the histogram of exponents at the cursor's. */
export type DrillPicture = 'lines' | 'exponents';

/** Whether the panel below the heatmap is open, how high it is and what is in it. */
export class Drill {
  readonly open = signal(false);
  readonly heightCssPx = signal(300);
  readonly cssHeight = computed(() => `min(${this.heightCssPx.value}px, 65vh)`);
  readonly pins = signal<readonly Pin[]>([]);
  /** Null until chosen: then as in the heatmap. */
  readonly ownScale = signal<Metric['scale'] | null>(null);
  /** Null until chosen. */
  readonly ownPicture = signal<DrillPicture | null>(null);
  /** Of the histogram. */
  readonly shareScale = signal<Metric['scale']>('linear');
  /** Set by the keyboard until the panel has taken the focus. */
  readonly wantsFocus = signal(false);
  /** The second run's figures were asked for, not the first one's. */
  readonly second = signal(false);

  constructor(
    private readonly store: Store,
    private readonly linked: LinkedRun | null = null,
  ) {}

  /** The run that can be shown beside the first, if any. */
  readonly beside = computed(() => {
    const linked = this.linked;
    return linked?.name.value != null && linked.obstacle.value === null ? linked : null;
  });

  /** Whose figures are shown: those of the first run wherever there is no other. */
  readonly subject = computed(() => (this.second.value ? this.beside.value : null) ?? this.store);

  readonly hasExponents = computed(
    () => this.subject.value.meta.value?.streams.some(({ histogram }) => histogram) === true,
  );

  /** A stream that has the histogram is looked at for it. */
  readonly picture = computed<DrillPicture>(() => {
    if (!this.hasExponents.value) return 'lines';
    return this.ownPicture.value ?? (this.store.stream.value?.histogram === true ? 'exponents' : 'lines');
  });

  /** Lines diverge from nothing: of such a heatmap the metric's own scale. */
  readonly scaleName = computed<Metric['scale']>(() => {
    const heatmaps = this.store.scaleName.value;
    const own = heatmaps === 'diverging' ? this.store.metric.value?.scale : heatmaps;
    return this.ownScale.value ?? own ?? 'linear';
  });

  readonly signed = computed(() => this.store.metric.value?.kind === 'signed');

  /** A log scale of figures with both signs is a symlog. */
  readonly valueScaleKind = computed<ValueScale['kind']>(() => {
    if (this.scaleName.value === 'linear') return 'linear';
    return this.signed.value ? 'symlog' : 'log';
  });

  readonly cell = computed<CursorCell | null>(() => {
    const { meta, tree } = this.subject.value;
    const [place, scale, grid] = [this.store.cursor.value, this.store.scale.value, meta.value];
    const node = place === null ? -1 : (tree.value?.keys.indexOf(place.key) ?? -1);
    if (place === null || scale === null || grid === null || node < 0) return null;
    const begin = Math.floor(place.step / scale.cellSteps) * scale.cellSteps;
    const first = Math.max(grid.steps[0], begin);
    const end = Math.min(grid.steps[1], begin + scale.cellSteps);
    return first < end ? { key: place.key, node, steps: [first, end] } : null;
  });

  /** The pins in the order in which they came, after the cursor's own line where that is not pinned. */
  readonly shown = computed<readonly Shown[]>(() => {
    const keys = this.subject.value.tree.value?.keys ?? [];
    const cursor = this.store.cursor.value?.key;
    const pinned = this.pins.value.map(({ key, style }): Shown => {
      const node = keys.indexOf(key);
      return { key, style, node: node < 0 ? null : node, pinned: true, atCursor: key === cursor };
    });
    const node = cursor === undefined ? -1 : keys.indexOf(cursor);
    // A row of the first run that the second lacks is told all the same.
    const isKnown = node >= 0 || this.subject.value !== this.store;
    if (cursor === undefined || !isKnown || pinned.some(({ atCursor }) => atCursor)) return pinned;
    const own = { key: cursor, style: 0, node: node < 0 ? null : node, pinned: false, atCursor: true };
    return [own, ...pinned];
  });

  /** Opens the panel at the cursor, of one of two runs; from the keyboard, the focus goes into it. */
  enter(by: 'pointer' | 'keyboard', of: 'first' | 'second' = 'first'): void {
    if (this.store.cursor.peek() === null) return;
    batch(() => {
      this.open.value = true;
      this.second.value = of === 'second';
      this.wantsFocus.value = by === 'keyboard';
    });
  }

  close(): void {
    this.open.value = false;
  }

  /** Pins a node or takes its pin away: the one at the cursor unless another is named. */
  togglePin(key = this.store.cursor.peek()?.key): void {
    if (key !== undefined) this.pins.value = toggled(this.pins.peek(), key);
  }

  /** Takes the cursor to another step of its node. */
  moveTo(step: number): void {
    const [place, grid] = [this.store.cursor.peek(), this.store.grid.peek()];
    if (place === null || grid === null || step < grid.steps[0] || step >= grid.steps[1]) return;
    this.store.cursor.value = { ...place, step };
  }

  resize(heightCssPx: number, pageCssPx: number): void {
    const [least, most] = heightLimits(pageCssPx);
    this.heightCssPx.value = Math.round(Math.min(most, Math.max(least, heightCssPx)));
  }
}

/** Least and largest height of the panel on a page of that height. */
export function heightLimits(pageCssPx: number): [number, number] {
  return [LEAST_CSS_PX, Math.max(LEAST_CSS_PX, Math.round(pageCssPx * MOST_OF_PAGE))];
}

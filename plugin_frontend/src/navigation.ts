import { batch, computed, effect, signal } from '@preact/signals';
import type { Pointing } from './pointing.ts';
import { type StepWindow, cellAtDevicePx, clampWindow, shifted, wholeRun, zoomAround } from './scales.ts';
import type { Store } from './store.ts';
import { NO_TRAIL, type Trail, back, moved } from './trail.ts';
import { type Rect, rowAtDevicePx } from './viewport.ts';

/** At the end of the run is who misses no more than this share of what is in view. */
const END_SHARE = 0.02;

/** How people move through the steps of a run: what gestures, keys, buttons and the minimap have in common. */
export class Navigation {
  /** The window keeps its width and moves with the end of a live run. The whole run does so by itself. */
  readonly following = signal(false);
  readonly canGoBack = computed(() => this.trail.value.past.length > 0);
  /** What a drag marks on the heatmap, in CSS pixels. */
  readonly box = signal<Rect | null>(null);
  private readonly trail = signal<Trail>(NO_TRAIL);
  /** A drag is one movement however long it rests. */
  private grip: 'none' | 'taken' | 'moved' = 'none';

  constructor(
    private readonly store: Store,
    private readonly pointing: Pick<Pointing, 'focusStep'>,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Watches every change of the window, whoever makes it. */
  start(): void {
    let runName: string | null = null;
    effect(() => {
      const [window, run] = [this.store.window.value, this.store.runName.value];
      const before = this.trail.peek();
      const held = this.grip === 'moved';
      const trail =
        run === runName ? moved(before, window, this.now(), held) : { ...NO_TRAIL, present: window };
      runName = run;
      if (trail === before) return;
      if (this.grip === 'taken') this.grip = 'moved';
      this.trail.value = trail;
      if (this.following.peek() && !this.atEnd(window)) this.following.value = false;
    });
    effect(() => {
      if (this.store.meta.value !== null && this.following.value) this.catchUp();
    });
  }

  grab(): void {
    this.grip = 'taken';
  }

  letGo(): void {
    this.grip = 'none';
  }

  /** Closer for factors below 1, around the step that is pointed at. */
  zoom(factor: number): void {
    this.zoomAt(this.pointing.focusStep(), factor);
  }

  zoomAt(step: number, factor: number): void {
    const scale = this.store.scale.peek();
    if (scale !== null) this.store.zoomTo(zoomAround(scale, step, factor));
  }

  /** The whole run has nowhere to go, and must keep following a live one. */
  pan(steps: number): void {
    const scale = this.store.scale.peek();
    if (scale !== null && this.store.window.peek() !== null) this.store.zoomTo(shifted(scale, steps));
  }

  panCssPx(cssPx: number): void {
    const scale = this.store.scale.peek();
    if (scale === null) return;
    const devicePx = cssPx * this.store.size.peek().devicePixelRatio;
    this.pan(((scale.end - scale.start) * devicePx) / scale.widthDevicePx);
  }

  /** By a share of what is in view. */
  panShare(share: number): void {
    const scale = this.store.scale.peek();
    if (scale !== null) this.pan((scale.end - scale.start) * share);
  }

  /** The steps of all cells that a box touches; its first row becomes the active one. */
  showBox(box: Rect): void {
    const [scale, viewport, tree] = [
      this.store.scale.peek(),
      this.store.viewport.peek(),
      this.store.tree.peek(),
    ];
    if (scale === null || tree === null) return;
    const ratio = viewport.devicePixelRatio;
    const first = cellAtDevicePx(scale, box.x * ratio);
    const last = cellAtDevicePx(scale, Math.ceil((box.x + box.width) * ratio) - 1);
    const node = this.store.nodes.peek()[rowAtDevicePx(viewport, box.y * ratio)];
    batch(() => {
      if (node !== undefined) this.store.activeKey.value = tree.keys[node] ?? null;
      this.store.zoomTo({ start: first * scale.cellSteps, end: (last + 1) * scale.cellSteps });
    });
  }

  showAll(): void {
    this.store.window.value = null;
  }

  back(): void {
    const trail = back(this.trail.peek());
    if (trail === null) return;
    batch(() => {
      this.following.value = false;
      this.goTo(trail.present, trail);
    });
  }

  follow(on: boolean): void {
    this.following.value = on && this.store.window.peek() !== null;
    if (this.following.peek()) this.catchUp();
  }

  private catchUp(): void {
    const [grid, window] = [this.store.extent.peek(), this.store.window.peek()];
    const width = this.store.size.peek().widthDevicePx;
    if (grid === null || window === null || width === 0) return;
    const next = clampWindow(grid, shifted(window, wholeRun(grid, width).end - window.end), width);
    this.goTo(next, { ...this.trail.peek(), present: next });
  }

  /** To a window that is no new step of the trail. */
  private goTo(window: StepWindow | null, trail: Trail): void {
    batch(() => {
      this.trail.value = trail;
      this.store.window.value = window;
    });
  }

  private atEnd(window: StepWindow | null): boolean {
    const grid = this.store.extent.peek();
    if (grid === null || window === null) return false;
    const { end } = wholeRun(grid, this.store.size.peek().widthDevicePx);
    return end - window.end <= END_SHARE * (window.end - window.start);
  }
}

import { batch } from '@preact/signals';
import type { Navigation } from './navigation.ts';
import type { Pointing } from './pointing.ts';
import { pinched } from './scales.ts';
import type { Store } from './store.ts';

/** A press that moves less than this is a click. */
const DRAG_CSS_PX = 3;

/** Fingers closer than this, from left to right, do not tell by how much to zoom. */
const PINCH_CSS_PX = 24;

interface Drag {
  readonly pointerId: number;
  readonly kind: 'box' | 'pan';
  readonly fromCssX: number;
  readonly fromCssY: number;
  readonly cssX: number;
  readonly moved: boolean;
}

/** Presses on the heatmap: a drag draws a box or pans, two fingers zoom, and what does not move is a click. */
export class Drags {
  private drag: Drag | null = null;
  /** Fingers on the heatmap: horizontal places by pointer. */
  private readonly fingers = new Map<number, number>();

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly store: Store,
    private readonly pointing: Pointing,
    private readonly navigation: Navigation,
    private readonly clicked: () => void,
  ) {}

  press(event: PointerEvent): void {
    const { pointerId, offsetX: fromCssX, offsetY: fromCssY } = event;
    const touch = event.pointerType === 'touch';
    if (touch) this.fingers.set(pointerId, fromCssX);
    if (event.button > 1) return;
    const kind = touch || event.shiftKey || event.button === 1 ? 'pan' : 'box';
    this.navigation.grab();
    this.drag = { pointerId, kind, fromCssX, fromCssY, cssX: fromCssX, moved: this.fingers.size > 1 };
  }

  move(event: PointerEvent): void {
    const { pointerId, offsetX: cssX, offsetY: cssY } = event;
    if (this.fingers.size === 2 && this.fingers.has(pointerId)) {
      this.pinch(pointerId, cssX);
    } else if (this.drag?.pointerId === pointerId) {
      this.pull(this.drag, cssX, cssY);
    } else if (event.pointerType !== 'touch') {
      this.store.pointer.value = { cssX, cssY };
    }
  }

  release(event: PointerEvent): void {
    const drag = this.drag;
    const box = this.navigation.box.peek();
    this.cancel(event);
    this.panOn();
    if (drag?.pointerId !== event.pointerId) return;
    const cell = this.pointing.cellAt(event.offsetX, event.offsetY);
    if (box !== null) this.navigation.showBox(box);
    else if (!drag.moved && event.button === 0 && cell !== null) {
      this.pointing.placeCursor(cell);
      this.clicked();
    }
  }

  /** The finger that is left of two pans on from where it is. */
  private panOn(): void {
    const [left, ...others] = this.fingers;
    if (left === undefined || others.length > 0) return;
    const [pointerId, cssX] = left;
    this.navigation.grab();
    this.drag = { pointerId, kind: 'pan', fromCssX: cssX, fromCssY: 0, cssX, moved: true };
  }

  /** Ends what is going on without effect; whether there was something. */
  cancel(event?: PointerEvent): boolean {
    const had = this.drag !== null;
    if (event === undefined) this.fingers.clear();
    else this.fingers.delete(event.pointerId);
    this.drag = null;
    this.navigation.letGo();
    this.navigation.box.value = null;
    return had;
  }

  private pull(drag: Drag, cssX: number, cssY: number): void {
    const { fromCssX, fromCssY } = drag;
    const far = Math.max(Math.abs(cssX - fromCssX), Math.abs(cssY - fromCssY)) >= DRAG_CSS_PX;
    if (!drag.moved && !far) return;
    if (!drag.moved) this.canvas.setPointerCapture(drag.pointerId);
    this.drag = { ...drag, cssX, moved: true };
    batch(() => {
      this.store.pointer.value = null;
      if (drag.kind === 'pan') this.navigation.panCssPx(drag.cssX - cssX);
      else this.navigation.box.value = this.boxTo(drag, cssX, cssY);
    });
  }

  /** Null while it is too narrow to say which steps are meant. */
  private boxTo({ fromCssX, fromCssY }: Drag, cssX: number, cssY: number) {
    const [x, y] = [within(cssX, this.canvas.clientWidth), within(cssY, this.canvas.clientHeight)];
    if (Math.abs(x - fromCssX) < DRAG_CSS_PX) return null;
    const [left, top] = [Math.min(x, fromCssX), Math.min(y, fromCssY)];
    return { x: left, y: top, width: Math.abs(x - fromCssX), height: Math.abs(y - fromCssY) };
  }

  private pinch(pointerId: number, cssX: number): void {
    const before = [...this.fingers.values()];
    this.fingers.set(pointerId, cssX);
    const after = [...this.fingers.values()];
    const scale = this.store.scale.peek();
    const apart = (xs: number[]) => Math.abs((xs[1] ?? 0) - (xs[0] ?? 0));
    if (scale === null || Math.min(apart(before), apart(after)) < PINCH_CSS_PX) return;
    const ratio = this.store.size.peek().devicePixelRatio;
    const devicePx = (xs: number[]): [number, number] => [(xs[0] ?? 0) * ratio, (xs[1] ?? 0) * ratio];
    this.store.zoomTo(pinched(scale, devicePx(before), devicePx(after)));
  }
}

function within(value: number, most: number): number {
  return Math.min(most, Math.max(0, value));
}

import { batch } from '@preact/signals';
import type { Drill } from './drill/drill.ts';
import type { Pointing } from './pointing.ts';
import { shifted, zoomAround } from './scales.ts';
import type { Store } from './store.ts';

/** Closer by this factor at one press of a key. */
const KEY_ZOOM = 0.7;

/** A wheel's notch is 100 pixels or 3 lines, by browser; a notch zooms by about a third. */
const ZOOM_PER_CSS_PX = 0.003;
const LINE_CSS_PX = 33;

/** A press that moves less than this is a click. */
const DRAG_CSS_PX = 3;

function wheelCssPx(event: WheelEvent, delta: number): number {
  return event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? delta : delta * LINE_CSS_PX;
}

/** Mouse, touch and keys on the heatmap. A plain wheel is left to the page, which scrolls the rows. */
export class Gestures {
  private drag: { pointerId: number; cssX: number; moved: boolean } | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly store: Store,
    private readonly pointing: Pointing,
    private readonly drill: Pick<Drill, 'enter' | 'togglePin'>,
  ) {}

  /** Listens until the returned function is called. */
  attach(): () => void {
    const stop = new AbortController();
    const on = <K extends keyof HTMLElementEventMap>(
      type: K,
      listener: (event: HTMLElementEventMap[K]) => void,
    ) => {
      this.canvas.addEventListener(type, listener, { signal: stop.signal, passive: false });
    };
    on('wheel', (event) => {
      this.wheel(event);
    });
    on('pointerdown', (event) => {
      this.press(event);
    });
    on('pointermove', (event) => {
      this.move(event);
    });
    on('pointerup', (event) => {
      this.release(event);
    });
    on('pointercancel', () => {
      this.drag = null;
    });
    on('pointerleave', () => {
      this.store.pointer.value = null;
    });
    on('dblclick', () => {
      this.store.window.value = null;
    });
    on('keydown', (event) => {
      if (this.key(event)) event.preventDefault();
    });
    on('focus', () => {
      // A click focuses as well, and says itself which cell it means.
      this.store.cursorShown.value = this.canvas.matches(':focus-visible');
    });
    on('blur', () => {
      this.store.cursorShown.value = false;
    });
    return () => {
      stop.abort();
    };
  }

  private wheel(event: WheelEvent): void {
    const [across, down] = [wheelCssPx(event, event.deltaX), wheelCssPx(event, event.deltaY)];
    if (event.ctrlKey || event.altKey || event.metaKey)
      this.zoom(Math.exp((down || across) * ZOOM_PER_CSS_PX));
    else if (event.shiftKey) this.pan(across || down);
    else if (Math.abs(across) > Math.abs(down)) this.pan(across);
    else return;
    event.preventDefault();
  }

  private zoom(factor: number): void {
    const scale = this.store.scale.peek();
    if (scale !== null) this.store.zoomTo(zoomAround(scale, this.pointing.focusStep(), factor));
  }

  private pan(cssPx: number): void {
    const scale = this.store.scale.peek();
    // The whole run has nowhere to go, and must keep following a live one.
    if (scale === null || this.store.window.peek() === null) return;
    const devicePx = cssPx * this.store.size.peek().devicePixelRatio;
    this.store.zoomTo(shifted(scale, ((scale.end - scale.start) * devicePx) / scale.widthDevicePx));
  }

  private press(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.drag = { pointerId: event.pointerId, cssX: event.offsetX, moved: false };
  }

  private move(event: PointerEvent): void {
    const { offsetX: cssX, offsetY: cssY } = event;
    if (this.drag?.pointerId !== event.pointerId) {
      this.store.pointer.value = { cssX, cssY };
      return;
    }
    const shift = cssX - this.drag.cssX;
    if (!this.drag.moved && Math.abs(shift) < DRAG_CSS_PX) return;
    if (!this.drag.moved) this.canvas.setPointerCapture(event.pointerId);
    batch(() => {
      this.store.pointer.value = null;
      this.pan(-shift);
    });
    this.drag = { pointerId: event.pointerId, cssX, moved: true };
  }

  private release(event: PointerEvent): void {
    const cell = this.pointing.cellAt(event.offsetX, event.offsetY);
    if (this.drag?.moved === false && cell !== null) {
      this.pointing.placeCursor(cell);
      this.drill.enter('pointer');
    }
    this.drag = null;
  }

  /** Whether the key meant something here. */
  private key(event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const page = event.shiftKey ? 10 : 1;
    const actions: Record<string, () => void> = {
      ArrowUp: () => {
        this.pointing.moveCursor(-page, 0);
      },
      ArrowDown: () => {
        this.pointing.moveCursor(page, 0);
      },
      ArrowLeft: () => {
        this.pointing.moveCursor(0, -page);
      },
      ArrowRight: () => {
        this.pointing.moveCursor(0, page);
      },
      PageUp: () => {
        this.pointing.moveCursor(-20, 0);
      },
      PageDown: () => {
        this.pointing.moveCursor(20, 0);
      },
      Home: () => {
        this.pointing.moveCursor(0, Number.NEGATIVE_INFINITY);
      },
      End: () => {
        this.pointing.moveCursor(0, Number.POSITIVE_INFINITY);
      },
      '+': () => {
        this.zoom(KEY_ZOOM);
      },
      '=': () => {
        this.zoom(KEY_ZOOM);
      },
      '-': () => {
        this.zoom(1 / KEY_ZOOM);
      },
      '0': () => {
        this.store.window.value = null;
      },
      Enter: () => {
        // Without a cursor this only places one.
        if (this.store.cursor.peek() === null) this.pointing.moveCursor(0, 0);
        else this.drill.enter('keyboard');
      },
      p: () => {
        this.drill.togglePin();
      },
      Escape: () => {
        this.store.cursor.value = null;
      },
    };
    const action = actions[event.key];
    action?.();
    return action !== undefined;
  }
}

import type { Drill } from './drill/drill.ts';
import { Drags } from './drags.ts';
import { CURSOR_KEYS, HEATMAP_KEYS, shortcutOf } from './keys.ts';
import type { Navigation } from './navigation.ts';
import type { Pointing } from './pointing.ts';
import type { Store } from './store.ts';

/** Closer by this factor at one press of a key. */
const KEY_ZOOM = 0.7;
/** One press of a key pans by this share of what is in view. */
const KEY_PAN = 0.2;

/** A wheel's notch is 100 pixels or 3 lines, by browser; a notch zooms by about a third. */
const ZOOM_PER_CSS_PX = 0.003;
const LINE_CSS_PX = 33;

const CELLS_WITH_SHIFT = 10;
const ROWS_OF_PAGE = 20;

function wheelCssPx(event: WheelEvent, delta: number): number {
  return event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? delta : delta * LINE_CSS_PX;
}

/** Mouse, touch and keys on the heatmap. A plain wheel is left to the page, which scrolls the rows. */
export class Gestures {
  private readonly drags: Drags;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly store: Store,
    private readonly pointing: Pointing,
    private readonly navigation: Navigation,
    private readonly drill: Pick<Drill, 'enter' | 'togglePin'>,
  ) {
    this.drags = new Drags(canvas, store, pointing, navigation, () => {
      drill.enter('pointer');
    });
  }

  /** Listens until the returned function is called; with `unfocused` also to what is pressed while nothing has the focus. */
  attach(unfocused = true): () => void {
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
    on('mousedown', (event) => {
      // Browsers scroll by themselves after a press of the middle button.
      if (event.button === 1) event.preventDefault();
    });
    on('pointerdown', (event) => {
      this.drags.press(event);
    });
    on('pointermove', (event) => {
      this.drags.move(event);
    });
    on('pointerup', (event) => {
      this.drags.release(event);
    });
    on('pointercancel', (event) => {
      this.drags.cancel(event);
    });
    on('pointerleave', () => {
      this.store.pointer.value = null;
    });
    on('dblclick', () => {
      this.navigation.showAll();
    });
    on('keydown', (event) => {
      if (this.stepKey(event) || this.cursorKey(event)) event.preventDefault();
    });
    on('focus', () => {
      // A click focuses as well, and says itself which cell it means.
      this.store.cursorShown.value = this.canvas.matches(':focus-visible');
    });
    on('blur', () => {
      this.store.cursorShown.value = false;
    });
    document.addEventListener(
      'keydown',
      (event) => {
        const free = event.target === document.body && document.querySelector('dialog[open]') === null;
        if (unfocused && free && this.stepKey(event)) event.preventDefault();
      },
      { signal: stop.signal },
    );
    return () => {
      stop.abort();
    };
  }

  private wheel(event: WheelEvent): void {
    const [across, down] = [wheelCssPx(event, event.deltaX), wheelCssPx(event, event.deltaY)];
    if (event.ctrlKey || event.altKey || event.metaKey)
      this.navigation.zoom(Math.exp((down || across) * ZOOM_PER_CSS_PX));
    else if (event.shiftKey) this.navigation.panCssPx(across || down);
    else if (Math.abs(across) > Math.abs(down)) this.navigation.panCssPx(across);
    else return;
    event.preventDefault();
  }

  /** Whether the key moves through the steps. */
  private stepKey(event: KeyboardEvent): boolean {
    const name = withoutCommand(event) ? shortcutOf(HEATMAP_KEYS, event.key) : null;
    const actions: Record<keyof typeof HEATMAP_KEYS, () => void> = {
      zoomIn: () => {
        this.navigation.zoom(KEY_ZOOM);
      },
      zoomOut: () => {
        this.navigation.zoom(1 / KEY_ZOOM);
      },
      panLeft: () => {
        this.navigation.panShare(-KEY_PAN);
      },
      panRight: () => {
        this.navigation.panShare(KEY_PAN);
      },
      showAll: () => {
        this.navigation.showAll();
      },
      back: () => {
        this.navigation.back();
      },
    };
    if (name !== null) actions[name]();
    return name !== null;
  }

  /** Whether the key means something at the cursor. */
  private cursorKey(event: KeyboardEvent): boolean {
    const name = withoutCommand(event) ? shortcutOf(CURSOR_KEYS, event.key) : null;
    const some = event.shiftKey ? CELLS_WITH_SHIFT : 1;
    const actions: Record<keyof typeof CURSOR_KEYS, () => void> = {
      up: () => {
        this.pointing.moveCursor(-some, 0);
      },
      down: () => {
        this.pointing.moveCursor(some, 0);
      },
      left: () => {
        this.pointing.moveCursor(0, -some);
      },
      right: () => {
        this.pointing.moveCursor(0, some);
      },
      pageUp: () => {
        this.pointing.moveCursor(-ROWS_OF_PAGE, 0);
      },
      pageDown: () => {
        this.pointing.moveCursor(ROWS_OF_PAGE, 0);
      },
      first: () => {
        this.pointing.moveCursor(0, Number.NEGATIVE_INFINITY);
      },
      last: () => {
        this.pointing.moveCursor(0, Number.POSITIVE_INFINITY);
      },
      focusModule: () => {
        this.pointing.focusModule();
      },
      enter: () => {
        // Without a cursor this only places one.
        if (this.store.cursor.peek() === null) this.pointing.moveCursor(0, 0);
        else this.drill.enter('keyboard');
      },
      pin: () => {
        this.drill.togglePin();
      },
      leave: () => {
        if (!this.drags.cancel()) this.store.cursor.value = null;
      },
    };
    if (name !== null) actions[name]();
    return name !== null;
  }
}

/** With one of these, a key belongs to the browser. */
function withoutCommand(event: KeyboardEvent): boolean {
  return !event.ctrlKey && !event.metaKey && !event.altKey;
}

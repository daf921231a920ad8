import type { LinkedRun } from './linked.ts';
import type { Pointing } from './pointing.ts';
import type { Store } from './store.ts';
import type { Rect } from './viewport.ts';

/** What a browser test may ask of the page, as `window.gradHealth`; see README.md. */
export interface Hooks {
  readonly ready: boolean;
  cellAt(cssX: number, cssY: number): { node: number; level: number; index: number } | null;
  rectOf(node: number, step: number): Rect | null;
  state(): {
    run: string | null;
    stream: string | null;
    metric: string | null;
    view: string | null;
    level: number | null;
    /** Steps [start, end), or null for the whole run. */
    window: [number, number] | null;
    visibleNodes: number[];
    complete: boolean;
    /** The run beside it. */
    compared: { run: string; complete: boolean } | null;
  };
}

declare global {
  interface Window {
    gradHealth?: Hooks;
  }
}

function windowOf(store: Store): [number, number] | null {
  const window = store.window.peek();
  return window === null ? null : [window.start, window.end];
}

export function installHooks(store: Store, pointing: Pointing, linked: LinkedRun): void {
  let ready = false;
  const stop = store.painted.subscribe(({ complete }) => {
    ready ||= complete;
  });
  window.gradHealth = Object.freeze<Hooks>({
    get ready() {
      if (ready) stop();
      return ready;
    },
    cellAt(cssX, cssY) {
      const cell = pointing.cellAt(cssX, cssY);
      return cell === null ? null : { node: cell.node, level: cell.level, index: cell.index };
    },
    rectOf: (node, step) => pointing.rectOf(node, step),
    state: () => ({
      run: store.runName.peek(),
      stream: store.stream.peek()?.name ?? null,
      metric: store.metric.peek()?.name ?? null,
      view: store.view.peek()?.name ?? null,
      level: store.scale.peek()?.level ?? null,
      window: windowOf(store),
      visibleNodes: Array.from(store.nodes.peek()),
      complete: store.painted.peek().complete,
      compared: comparedOf(linked),
    }),
  });
}

function comparedOf(linked: LinkedRun): { run: string; complete: boolean } | null {
  const run = linked.name.peek();
  return run === null ? null : { run, complete: linked.complete.peek() };
}

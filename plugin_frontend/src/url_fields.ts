import { type Signal, computed } from '@preact/signals';
import { COLOUR_MAPS_OF, type ColourMap } from './colours.ts';
import type { ScaleName } from './contract.ts';
import { openFirstLook } from './model.ts';
import type { Navigation } from './navigation.ts';
import { position } from './ranges.ts';
import type { Store } from './store.ts';
import {
  type Codec,
  foldsOf,
  foldsText,
  nodeIn,
  nodeText,
  numbers,
  oneOf,
  placeText,
  stepWindow,
  words,
} from './url_state.ts';
import { rowCssPx, rowsInView } from './viewport.ts';

/** One parameter of the URL. */
export interface Field {
  readonly key: string;
  /** Null where all is as it would be without the parameter. */
  read(): string | null;
  /** Takes over what a URL says: null where it says nothing, and any text where somebody has changed it. */
  write(text: string | null): void;
}

/** A signal with a plain value as a parameter, which is left out while it has its initial value. */
export function signalField<T>(key: string, signal: Signal<T>, codec: Codec<T>, initial: T): Field {
  return {
    key,
    read: () => (signal.value === initial ? null : codec.encode(signal.value)),
    write: (text) => {
      signal.value = (text === null ? null : codec.decode(text)) ?? initial;
    },
  };
}

const PATH_CHARACTERS = 4_096;
const NAME_CHARACTERS = 256;

/** Goes ahead of all others, which wait for this run. */
export function runField(store: Store): Field {
  return {
    key: 'run',
    // A run that the page has taken because it found no better one must not outlive a better one.
    read: () => (store.run.value?.status === 'ok' || store.chosenByUser ? store.runName.value : null),
    write: (text) => {
      const name = text === null ? null : words(PATH_CHARACTERS).decode(text);
      if (name !== null) store.chooseRun(name);
    },
  };
}

/** Behind the run, and ahead of what waits for its metrics and nodes. */
export function streamField(store: Store): Field {
  return {
    key: 'stream',
    read: () => store.stream.value?.name ?? null,
    write: (text) => {
      store.chooseStream(text === null ? null : words(NAME_CHARACTERS).decode(text));
    },
  };
}

/** What is shown of a stream: in this order, for another metric has another scale, and another view another range. */
export function layerFields(store: Store): Field[] {
  // Of ten thousand nodes it takes as long as half a frame, and a movement of the steps leaves it as it is.
  const folds = computed(() => {
    const [tree, open] = [store.tree.value, store.open.value];
    return tree === null ? null : foldsText(tree, open);
  });
  return [
    {
      key: 'metric',
      read: () => store.metric.value?.name ?? null,
      write: (text) => {
        store.chooseMetric(text ?? '');
      },
    },
    {
      key: 'view',
      read: () => store.view.value?.name ?? null,
      write: (text) => {
        store.chooseView(text ?? '');
      },
    },
    {
      key: 'scale',
      read: () => (store.scaleName.value === store.metric.value?.scale ? null : store.scaleName.value),
      write: (text) => {
        const scale =
          oneOf<ScaleName>('log', 'linear', 'diverging').decode(text ?? '') ?? store.metric.peek()?.scale;
        if (scale !== undefined) store.chooseScale(scale);
      },
    },
    {
      key: 'colours',
      read: () => (store.colourMap.value === mapsOf(store)[0] ? null : store.colourMap.value),
      write: (text) => {
        const maps = mapsOf(store);
        const map = maps.find((name) => name === text) ?? maps[0];
        if (map !== undefined) store.chooseColourMap(map);
      },
    },
    rangeField(store),
    {
      key: 'open',
      read: () => folds.value,
      write: (text) => {
        const tree = store.tree.peek();
        if (tree !== null) store.setWholeOpen(foldsOf(text ?? '', tree) ?? openFirstLook(tree));
      },
    },
  ];
}

function mapsOf(store: Store): ColourMap[] {
  return COLOUR_MAPS_OF[store.colourFamily.value].map(({ name }) => name);
}

/** The range that somebody holds; behind `scale`, as it is that scale's. One that the page has found is found again. */
function rangeField(store: Store): Field {
  return {
    key: 'range',
    read: () => {
      const range = store.range.value;
      return range === null || !store.rangeIsHeld.value ? null : numbers(2).encode([range.lo, range.hi]);
    },
    write: (text) => {
      const [kind, [lo, hi]] = [store.metric.peek()?.kind, numbers(2).decode(text ?? '') ?? []];
      store.releaseRange();
      if (kind === undefined || lo === undefined || hi === undefined) return;
      const range = { kind, scale: store.scaleName.peek(), lo, hi };
      const middle = position(range, (lo + hi) / 2);
      // Other ends, such as a 0 on a log scale, give no place to any value.
      if (lo < hi && middle > 0 && middle < 1) store.holdRange(range);
    },
  };
}

/** Where in the picture one is: last, for filters and folds decide which rows there are. */
export function placeFields(store: Store, navigation: Navigation): Field[] {
  return [
    {
      key: 'steps',
      read: () => (store.window.value === null ? null : stepWindow.encode(store.window.value)),
      write: (text) => {
        const window = stepWindow.decode(text ?? '');
        if (window === null) store.window.value = null;
        else store.zoomTo(window);
      },
    },
    {
      key: 'follow',
      read: () => (navigation.following.value ? '1' : null),
      write: (text) => {
        navigation.follow(text === '1');
      },
    },
    {
      key: 'cell',
      read: () => (store.cursor.value === null ? null : placeText.encode(store.cursor.value)),
      write: (text) => {
        const place = text === null ? null : placeText.decode(text, store.tree.peek()?.keys ?? []);
        store.cursor.value = place;
        if (place !== null) store.activeKey.value = place.key;
      },
    },
    {
      key: 'top',
      read: () => {
        const [viewport, nodes, tree] = [store.viewport.value, store.nodes.value, store.tree.value];
        const [row] = rowsInView(viewport, nodes.length);
        return row === 0 || tree === null ? null : nodeText(tree.keys[nodes[row] ?? 0] ?? '');
      },
      write: (text) => {
        const tree = store.tree.peek();
        const key = text === null || tree === null ? null : nodeIn(text, tree.keys);
        const row = key === null || tree === null ? -1 : store.nodes.value.indexOf(tree.keys.indexOf(key));
        store.scrollCssPx.value = Math.max(0, row) * rowCssPx(store.size.peek().devicePixelRatio);
      },
    },
  ];
}

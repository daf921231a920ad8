import type { Drill, DrillPicture } from './drill/drill.ts';
import { MOST_PINS, type Pin, toggled } from './drill/pins.ts';
import { NO_FILTER, SEARCHED_CHARACTERS } from './filter.ts';
import type { LinkedRun } from './linked.ts';
import { KINDS, type Kind } from './node_kinds.ts';
import { MODEL_ORDER, type Order } from './ordering.ts';
import type { OverviewFeed } from './overview/overview_feed.ts';
import type { Store } from './store.ts';
import { type Field, signalField } from './url_fields.ts';
import { listOf, nodeIn, nodeText, oneOf, truth, words } from './url_state.ts';

const NAME_CHARACTERS = 256;
const PATH_CHARACTERS = 4_096;

/** Which rows there are: folds are restored before them, as a filter has folds of its own. */
export function outlineFields(store: Store): Field[] {
  const kinds = listOf(oneOf<Kind>(...KINDS), KINDS.length);
  return [
    {
      key: 'filter',
      read: () => store.filter.value.text || null,
      write: (text) => {
        const found = words(SEARCHED_CHARACTERS).decode(text ?? '') ?? '';
        store.filter.value = { ...store.filter.peek(), text: found };
      },
    },
    {
      key: 'kinds',
      read: () => (store.filter.value.kinds.length === 0 ? null : kinds.encode(store.filter.value.kinds)),
      write: (text) => {
        const found = (text === null ? null : kinds.decode(text)) ?? NO_FILTER.kinds;
        store.filter.value = { ...store.filter.peek(), kinds: found };
      },
    },
    {
      key: 'order',
      read: () =>
        store.order.value.by === 'model' && store.order.value.flat !== true
          ? null
          : orderText(store.order.value),
      write: (text) => {
        const found = text === null ? null : orderIn(text);
        const known = (store.meta.peek()?.metrics ?? []).map(({ name }) => name);
        const isOne = found !== null && (found.metric === undefined || known.includes(found.metric));
        store.order.value = isOne ? found : MODEL_ORDER;
      },
    },
    {
      key: 'root',
      read: () => (store.rootKey.value === null ? null : nodeText(store.rootKey.value)),
      write: (text) => {
        store.rootKey.value = text === null ? null : nodeIn(text, store.tree.peek()?.keys ?? []);
      },
    },
  ];
}

const order = listOf(words(NAME_CHARACTERS), 4);

/** `<by>~`, then what differs from its default: `flat~`, `smallest~`, and a metric's name behind `=`. */
function orderText({ by, metric, descending, flat }: Order): string {
  return order.encode([
    by,
    ...(flat === true ? ['flat'] : []),
    ...(descending === false ? ['smallest'] : []),
    ...(metric === undefined ? [] : [`=${metric}`]),
  ]);
}

function orderIn(text: string): Order | null {
  const [name = '', ...more] = order.decode(text) ?? [];
  const by = oneOf<Order['by']>('model', 'worst', 'metric').decode(name);
  const metric = more.find((one) => one.startsWith('='))?.slice(1);
  if (by === null || (by === 'metric') !== (metric !== undefined)) return null;
  return {
    by,
    ...(metric === undefined ? {} : { metric }),
    ...(more.includes('smallest') ? { descending: false } : {}),
    ...(more.includes('flat') ? { flat: true } : {}),
  };
}

/** What stands around the heatmap. */
export function besideFields(store: Store, drill: Drill, overview: OverviewFeed, linked: LinkedRun): Field[] {
  const pins = listOf(words(NAME_CHARACTERS), MOST_PINS);
  return [
    {
      key: 'with',
      read: () => linked.name.value,
      write: (text) => {
        linked.choose(text === null ? null : words(PATH_CHARACTERS).decode(text));
      },
    },
    signalField('overview', overview.open, truth, true),
    signalField('panel', drill.open, truth, false),
    signalField('picture', drill.ownPicture, oneOf<DrillPicture>('lines', 'exponents'), null),
    {
      key: 'pins',
      read: () =>
        drill.pins.value.length === 0 ? null : pins.encode(drill.pins.value.map(({ key }) => nodeText(key))),
      write: (text) => {
        const keys = store.tree.peek()?.keys ?? [];
        const found = (text === null ? null : pins.decode(text)) ?? [];
        drill.pins.value = found
          .map((one) => nodeIn(one, keys))
          .filter((key) => key !== null)
          .reduce<readonly Pin[]>(
            (taken, key) => (taken.some((pin) => pin.key === key) ? taken : toggled(taken, key)),
            [],
          );
      },
    },
  ];
}

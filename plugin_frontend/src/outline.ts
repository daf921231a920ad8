import { type ReadonlySignal, type Signal, batch, computed, signal } from '@preact/signals';
import type { Meta } from './contract.ts';
import {
  FOUND,
  type Filter,
  NO_FILTER,
  type Query,
  SEARCHED_CHARACTERS,
  keptOf,
  matchWords,
  openAround,
  queryOf,
  searchable,
} from './filter.ts';
import { type Open, type Tree, parentOf, withUnfolded } from './model.ts';
import { kindsOf, withKinds } from './node_kinds.ts';
import { type Order, type Ranks, modelPlaces, orderedChildren } from './ordering.ts';
import { type Rows, ancestorsOf, flatRows, isInside, treeRows } from './rows.ts';

/** What a search with a regular expression came to: matches `[node]`, or why there are none. */
export interface Found {
  readonly names: readonly string[];
  readonly matched: Uint8Array | null;
  readonly problem: string | null;
}

/** What the rows follow from. */
interface Sources {
  readonly tree: ReadonlySignal<Tree | null>;
  readonly meta: ReadonlySignal<Meta | null>;
  readonly open: ReadonlySignal<Open>;
  readonly filter: Signal<Filter>;
  readonly order: Signal<Order>;
  readonly rootKey: Signal<string | null>;
  setOpen(open: Open): void;
}

const NO_ROWS: Rows = {
  nodes: new Int32Array(),
  places: new Int32Array(),
  setSizes: new Int32Array(),
  root: 0,
  flat: false,
};

/** The rows of tree and heatmap: folds, filter, order and root taken together. */
export class Outline {
  readonly found = signal<Found | null>(null);
  /** Null until the figures for an order have come. */
  readonly ranks = signal<Ranks | null>(null);
  /** Folds made while a filter shows other rows than the folds of the whole tree would. */
  private readonly filteredOpen = signal<{ kept: Uint8Array; open: Open } | null>(null);

  constructor(private readonly from: Sources) {}

  readonly query = computed<Query>(() => queryOf(this.from.filter.value.text));

  /** Kinds of each node, as bits. Shapes stay as long as the tree does. */
  readonly kinds = computed(() => {
    const tree = this.from.tree.value;
    return tree === null ? new Uint8Array() : kindsOf(tree, this.from.meta.peek()?.nodes.shape ?? []);
  });

  /** Kinds of any node, so that no other is offered. */
  readonly kindsPresent = computed(() => this.kinds.value.reduce((all, bits) => all | bits, 0));

  /** Whether some name is searched in part. */
  readonly hasLongNames = computed(
    () => this.from.tree.value?.names.some((name) => name.length > SEARCHED_CHARACTERS) ?? false,
  );

  private readonly lowerNames = computed(() => searchable(this.from.tree.value?.names ?? []));

  /** Why the text filters nothing. */
  readonly problem = computed<string | null>(() => {
    const query = this.query.value;
    if (query.kind === 'invalid') return query.why;
    return query.kind === 'regex' ? (this.found.value?.problem ?? null) : null;
  });

  private readonly matchedByText = computed<Uint8Array | null>(() => {
    const query = this.query.value;
    if (query.kind === 'words') return matchWords(this.lowerNames.value, query.words);
    if (query.kind !== 'regex' || this.found.value?.names !== this.from.tree.value?.names) return null;
    return this.found.value?.matched ?? null;
  });

  private readonly matchedByKind = computed<Uint8Array | null>(() => {
    const chosen = this.from.filter.value.kinds;
    return chosen.length === 0 ? null : withKinds(this.kinds.value, chosen);
  });

  /** What the filter leaves, by node; null without one. */
  readonly kept = computed<Uint8Array | null>(() => {
    const [tree, text, kind] = [this.from.tree.value, this.matchedByText.value, this.matchedByKind.value];
    const matched =
      text === null || kind === null ? (text ?? kind) : text.map((one, i) => one & (kind[i] ?? 0));
    return tree === null || matched === null ? null : keptOf(tree, matched);
  });

  readonly open = computed<Open>(() => {
    const [tree, kept, own] = [this.from.tree.value, this.kept.value, this.filteredOpen.value];
    if (tree === null || kept === null) return this.from.open.value;
    return own?.kept === kept ? own.open : openAround(tree, kept);
  });

  /** Takes folds of the filtered tree; false where there is no filter. */
  setFilteredOpen(open: Open): boolean {
    const kept = this.kept.peek();
    if (kept !== null) this.filteredOpen.value = { kept, open };
    return kept !== null;
  }

  /** The node that the rows begin with. */
  readonly root = computed(() => {
    const [tree, key] = [this.from.tree.value, this.from.rootKey.value];
    return tree === null || key === null ? 0 : Math.max(0, tree.keys.indexOf(key));
  });

  private readonly inModel = computed(() => {
    const tree = this.from.tree.value;
    return tree === null ? new Int32Array() : modelPlaces(tree);
  });

  private readonly places = computed<Int32Array | null>(() => {
    const [tree, ranks] = [this.from.tree.value, this.ranks.value];
    if (this.from.order.value.by === 'model' || tree === null) return null;
    return ranks?.tree === tree ? ranks.places : null;
  });

  private readonly children = computed(() => {
    const [tree, places] = [this.from.tree.value, this.places.value];
    return tree === null || places === null ? null : orderedChildren(tree, places);
  });

  readonly rows = computed<Rows>(() => {
    const tree = this.from.tree.value;
    if (tree === null || tree.size === 0) return NO_ROWS;
    const [root, kept] = [this.root.value, this.kept.value];
    if (this.from.order.value.flat === true)
      return flatRows(tree, root, kept, this.places.value ?? this.inModel.value);
    return treeRows(tree, root, kept, this.open.value, this.children.value ?? tree.children);
  });

  /** Tensors below the root: those that the filter leaves, and all. */
  readonly count = computed<{ found: number; all: number }>(() => {
    const [tree, root, kept] = [this.from.tree.value, this.root.value, this.kept.value];
    let [found, all] = [0, 0];
    if (tree === null) return { found, all };
    const inside = isInside(tree, root);
    for (let node = 0; node < tree.size; node++) {
      if (tree.kinds[node] !== 'tensor' || inside[node] !== 1) continue;
      all++;
      if (kept === null || kept[node] === FOUND) found++;
    }
    return { found, all };
  });

  /** The number that the rows are ordered by, if any. */
  valueOf(node: number): number | null {
    return this.places.value === null ? null : (this.ranks.value?.values[node] ?? null);
  }

  /** Makes a node a row: undoes what hides it (root, filter, flat list) and unfolds its ancestors. */
  reveal(node: number): void {
    const tree = this.from.tree.peek();
    if (tree === null || node < 0 || node >= tree.size) return;
    const ancestors = ancestorsOf(tree, node);
    batch(() => {
      if (node !== this.root.peek() && !ancestors.includes(this.root.peek())) this.from.rootKey.value = null;
      const kept = this.kept.peek();
      if (kept !== null && kept[node] === 0) this.from.filter.value = NO_FILTER;
      const { flat, ...order } = this.from.order.peek();
      if (flat === true && tree.kinds[node] !== 'tensor') this.from.order.value = order;
      this.from.setOpen(
        withUnfolded(
          this.open.peek(),
          ancestors.map((ancestor) => tree.keys[ancestor] ?? ''),
        ),
      );
    });
  }

  /** Makes a module the root of the rows, and unfolds it; a tensor stands for the module that holds it. */
  focus(node: number): void {
    const tree = this.from.tree.peek();
    if (tree === null) return;
    const key = tree.keys[moduleOf(tree, node)] ?? '';
    batch(() => {
      this.from.rootKey.value = moduleOf(tree, node) <= 0 ? null : key;
      this.from.setOpen(withUnfolded(this.open.peek(), [key]));
    });
  }

  /** Focuses a node's module; where that is the root already, shows all again. */
  toggleFocus(node: number): void {
    const tree = this.from.tree.peek();
    if (tree !== null) this.focus(moduleOf(tree, node) === this.root.peek() ? 0 : node);
  }
}

function moduleOf(tree: Tree, node: number): number {
  return tree.kinds[node] === 'tensor' ? parentOf(tree, node) : node;
}

import { NO_FILTER } from './filter.ts';
import {
  type Tree,
  childrenOf,
  hasChildren,
  parentOf,
  shortName,
  withFolded,
  withUnfolded,
} from './model.ts';
import type { Pointing } from './pointing.ts';
import { branchOf } from './rows.ts';
import type { Store } from './store.ts';

/** Letters typed faster than this after one another are one beginning of a name. */
const TYPING_MS = 700;

/** The active row; where its node is folded away, that of its nearest ancestor with a row. */
export function activeRowOf(tree: Tree, nodes: Int32Array, key: string | null): number {
  if (key === null) return 0;
  for (let node = tree.keys.indexOf(key); node > 0; node = parentOf(tree, node)) {
    const row = nodes.indexOf(node);
    if (row >= 0) return row;
  }
  return 0;
}

/** Unfolds or folds a module, or all of its branch. */
export function toggle(store: Store, tree: Tree, node: number, branch: boolean): void {
  const key = tree.keys[node] ?? '';
  setUnfolded(store, branch ? branchOf(tree, node) : [key], !store.outline.open.peek().has(key));
}

function setUnfolded(store: Store, keys: readonly string[], unfolded: boolean): void {
  const open = store.outline.open.peek();
  store.setOpen(unfolded ? withUnfolded(open, keys) : withFolded(open, keys));
}

/** The name that a row begins with, as far as typing goes: in a flat list the whole path is shown. */
function rowName(store: Store, tree: Tree, row: number): string {
  const { nodes, flat } = store.outline.rows.peek();
  const node = nodes[row] ?? 0;
  return (flat ? (tree.names[node] ?? '') : shortName(tree, node)).toLowerCase();
}

/** The keys that the ARIA practices give a tree, and those for branches. */
export class TreeKeys {
  private typed = '';
  private typedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly store: Store,
    private readonly pointing: Pointing,
  ) {}

  /** Whether the key meant something in the active row. */
  press(
    tree: Tree,
    row: number,
    { key, shiftKey, ctrlKey, altKey, metaKey, timeStamp }: KeyboardEvent,
  ): boolean {
    if (ctrlKey || altKey || metaKey) return false;
    const nodes = this.store.nodes.peek();
    const node = nodes[row] ?? 0;
    const folder = hasChildren(tree, node) && !this.store.outline.rows.peek().flat;
    const isOpen = folder && this.store.outline.open.peek().has(tree.keys[node] ?? '');
    switch (key) {
      case 'ArrowDown':
        this.goTo(tree, row + 1);
        return true;
      case 'ArrowUp':
        this.goTo(tree, row - 1);
        return true;
      case 'Home':
        this.goTo(tree, 0);
        return true;
      case 'End':
        this.goTo(tree, nodes.length - 1);
        return true;
      case 'ArrowRight':
        if (shiftKey) setUnfolded(this.store, branchOf(tree, node), true);
        else if (isOpen) this.goTo(tree, row + 1);
        else if (folder) toggle(this.store, tree, node, false);
        return true;
      case 'ArrowLeft':
        if (shiftKey) setUnfolded(this.store, branchOf(tree, node), false);
        else if (isOpen) toggle(this.store, tree, node, false);
        else this.goTo(tree, nodes.indexOf(parentOf(tree, node)), row);
        return true;
      case 'Enter':
      case ' ':
        if (folder) toggle(this.store, tree, node, shiftKey);
        return true;
      case '*': {
        const siblings = childrenOf(tree, parentOf(tree, node));
        setUnfolded(
          this.store,
          Array.from(siblings, (sibling) => tree.keys[sibling] ?? ''),
          true,
        );
        return true;
      }
      case 'F':
        this.store.outline.toggleFocus(node);
        return true;
      case 'Escape':
        if (this.store.outline.kept.peek() !== null) this.store.filter.value = NO_FILTER;
        else this.store.rootKey.value = null;
        return true;
      default:
        return /^[\p{L}\p{N}_]$/u.test(key) && this.type(tree, row, key.toLowerCase(), timeStamp);
    }
  }

  private goTo(tree: Tree, row: number, instead = 0): void {
    const nodes = this.store.nodes.peek();
    const next = Math.min(nodes.length - 1, Math.max(0, row < 0 ? instead : row));
    this.store.activeKey.value = tree.keys[nodes[next] ?? 0] ?? null;
    this.pointing.revealRow(next);
  }

  /** Goes to the next row whose name begins so; the same letter again goes on to the next one. */
  private type(tree: Tree, row: number, letter: string, now: number): true {
    this.typed = now - this.typedAt < TYPING_MS ? this.typed + letter : letter;
    this.typedAt = now;
    const again = this.typed === letter.repeat(this.typed.length);
    const count = this.store.nodes.peek().length;
    const find = (beginning: string, first: number): boolean => {
      for (let i = 0; i < count; i++) {
        const next = (row + first + i) % count;
        if (!rowName(this.store, tree, next).startsWith(beginning)) continue;
        this.goTo(tree, next);
        return true;
      }
      return false;
    };
    if (!find(this.typed, this.typed.length > 1 ? 0 : 1) && again) find(letter, 1);
    return true;
  }
}

import { useLayoutEffect, useRef } from 'preact/hooks';
import { px } from './format.ts';
import {
  type Tree,
  childrenOf,
  depthOf,
  fullName,
  hasChildren,
  openAll,
  openTop,
  parentOf,
  shortName,
  withFolded,
  withUnfolded,
} from './model.ts';
import type { Pointing } from './pointing.ts';
import type { Store } from './store.ts';
import { rowCssPx, rowTopDevicePx, rowsInView } from './viewport.ts';

const INDENT_CSS_PX = 14;

/** Deeper rows are indented no further, or their names would have no room left. */
const MOST_INDENTS = 9;

/** Longest text of a browser's own tooltip. */
const TITLE_CHARACTERS = 500;

interface Props {
  store: Store;
  pointing: Pointing;
}

/** The module tree; it renders the rows in view alone, at the same heights as the heatmap's. */
export function TreeView({ store, pointing }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const [tree, nodes, viewport] = [store.tree.value, store.nodes.value, store.viewport.value];
  const activeRow = tree === null ? 0 : activeRowOf(tree, nodes, store.activeKey.value);
  useLayoutEffect(() => {
    const host = element.current;
    if (host?.contains(document.activeElement) === true)
      host.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  });
  if (tree === null) return null;
  const [first, end] = rowsInView(viewport, nodes.length);
  const rows = Array.from({ length: end - first }, (_, i) => first + i);
  // The active row stays in the document when it is scrolled away, or the focus would be lost with it.
  if (activeRow < first) rows.unshift(activeRow);
  if (activeRow >= end) rows.push(activeRow);
  return (
    <div
      ref={element}
      class="tree"
      role="tree"
      aria-label="Modules and tensors"
      data-testid="tree"
      onKeyDown={(event) => {
        if (treeKey(store, pointing, tree, activeRow, event.key)) event.preventDefault();
      }}
    >
      {rows.map((row) => (
        <TreeRow
          key={nodes[row]}
          store={store}
          tree={tree}
          node={nodes[row] ?? 0}
          top={rowTopDevicePx(viewport, row) / viewport.devicePixelRatio}
          height={rowCssPx(viewport.devicePixelRatio)}
          active={row === activeRow}
          pointed={pointing.pointed.value?.row === row}
        />
      ))}
    </div>
  );
}

interface RowProps {
  store: Store;
  tree: Tree;
  node: number;
  top: number;
  height: number;
  active: boolean;
  pointed: boolean;
}

function TreeRow({ store, tree, node, top, height, active, pointed }: RowProps) {
  const depth = depthOf(tree, node);
  const folder = hasChildren(tree, node);
  const isOpen = store.open.value.has(tree.keys[node] ?? '');
  const bad = store.painted.value.nonFiniteNodes.has(node);
  const name = fullName(tree, node).slice(0, TITLE_CHARACTERS);
  const shape = store.meta.value?.nodes.shape[node] ?? null;
  const classes = ['row', tree.kinds[node] ?? '', active ? 'active' : '', pointed ? 'pointed' : ''];
  return (
    <div
      class={classes.join(' ')}
      role="treeitem"
      data-testid="treeitem"
      data-node={node}
      aria-level={depth + 1}
      aria-posinset={(tree.places[node] ?? 0) + 1}
      aria-setsize={node === 0 ? 1 : childrenOf(tree, parentOf(tree, node)).length}
      aria-selected={active}
      {...(folder ? { 'aria-expanded': isOpen } : {})}
      tabIndex={active ? 0 : -1}
      title={bad ? `${name}: NaN or Inf in view` : name}
      style={{
        top: px(top),
        height: px(height),
        paddingLeft: px(6 + Math.min(depth, MOST_INDENTS) * INDENT_CSS_PX),
      }}
      onClick={() => {
        store.activeKey.value = tree.keys[node] ?? null;
        if (folder) toggle(store, tree, node);
      }}
    >
      <span class={folder ? (isOpen ? 'twisty open' : 'twisty') : 'twisty none'} aria-hidden="true" />
      <bdi class="name">{shortName(tree, node)}</bdi>
      {shape !== null && shape.length > 0 && <span class="shape">{shape.join('×')}</span>}
      {bad && <span class="bad">NaN/Inf</span>}
    </div>
  );
}

export function TreeButtons({ store }: { store: Store }) {
  const set = (opener: (tree: Tree) => ReadonlySet<string>) => () => {
    const tree = store.tree.peek();
    if (tree !== null) store.setOpen(opener(tree));
  };
  return (
    <div class="tree-head">
      <span>Module</span>
      <button type="button" data-testid="expand-all" onClick={set(openAll)} title="Unfold all modules">
        Unfold all
      </button>
      <button type="button" data-testid="collapse-all" onClick={set(openTop)} title="Fold all modules">
        Fold all
      </button>
    </div>
  );
}

/** The active row; where its node is folded away, that of its nearest ancestor with a row. */
export function activeRowOf(tree: Tree, nodes: Int32Array, key: string | null): number {
  if (key === null) return 0;
  for (let node = tree.keys.indexOf(key); node > 0; node = parentOf(tree, node)) {
    const row = nodes.indexOf(node);
    if (row >= 0) return row;
  }
  return 0;
}

function toggle(store: Store, tree: Tree, node: number): void {
  const key = tree.keys[node] ?? '';
  const open = store.open.peek();
  store.setOpen(open.has(key) ? withFolded(open, key) : withUnfolded(open, [key]));
}

/** The keys that the ARIA practices give a tree; whether this was one of them. */
function treeKey(store: Store, pointing: Pointing, tree: Tree, row: number, key: string): boolean {
  const nodes = store.nodes.peek();
  const node = nodes[row] ?? 0;
  const isOpen = store.open.peek().has(tree.keys[node] ?? '');
  const goTo = (target: number) => {
    const next = Math.min(nodes.length - 1, Math.max(0, target));
    store.activeKey.value = tree.keys[nodes[next] ?? 0] ?? null;
    pointing.revealRow(next);
  };
  switch (key) {
    case 'ArrowDown':
      goTo(row + 1);
      return true;
    case 'ArrowUp':
      goTo(row - 1);
      return true;
    case 'Home':
      goTo(0);
      return true;
    case 'End':
      goTo(nodes.length - 1);
      return true;
    case 'ArrowRight':
      if (isOpen) goTo(row + 1);
      else if (hasChildren(tree, node)) toggle(store, tree, node);
      return true;
    case 'ArrowLeft':
      if (isOpen) toggle(store, tree, node);
      else goTo(nodes.indexOf(parentOf(tree, node)));
      return true;
    case 'Enter':
    case ' ':
      if (hasChildren(tree, node)) toggle(store, tree, node);
      return true;
    case '*':
      store.setOpen(
        withUnfolded(
          store.open.peek(),
          Array.from(childrenOf(tree, parentOf(tree, node)), (sibling) => tree.keys[sibling] ?? ''),
        ),
      );
      return true;
    default:
      return false;
  }
}

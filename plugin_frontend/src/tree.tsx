import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { AROUND } from './filter.ts';
import { formatValue, px } from './format.ts';
import { type Tree, depthOf, fullName, hasChildren, parentOf, shortName } from './model.ts';
import type { Pointing } from './pointing.ts';
import type { Store } from './store.ts';
import { TreeKeys, activeRowOf, toggle } from './tree_keys.ts';
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
  const keys = useMemo(() => new TreeKeys(store, pointing), [store, pointing]);
  const [tree, nodes, viewport] = [store.tree.value, store.nodes.value, store.viewport.value];
  const activeRow = tree === null ? 0 : activeRowOf(tree, nodes, store.activeKey.value);
  useLayoutEffect(() => {
    const host = element.current;
    if (host?.contains(document.activeElement) === true)
      host.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  });
  if (tree === null) return null;
  if (nodes.length === 0) return <p class="tree empty-tree quiet">No tensor is left by the filter.</p>;
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
        if (keys.press(tree, activeRow, event)) event.preventDefault();
      }}
    >
      <PointedRow store={store} pointing={pointing} />
      {rows.map((row) => (
        <TreeRow
          key={nodes[row]}
          store={store}
          tree={tree}
          row={row}
          node={nodes[row] ?? 0}
          top={rowTopDevicePx(viewport, row) / viewport.devicePixelRatio}
          height={rowCssPx(viewport.devicePixelRatio)}
          active={row === activeRow}
        />
      ))}
    </div>
  );
}

interface RowProps {
  store: Store;
  tree: Tree;
  row: number;
  node: number;
  top: number;
  height: number;
  active: boolean;
}

/** Behind the name of the row that is pointed at: the rows themselves need not be rendered for it. */
function PointedRow({ store, pointing }: Props) {
  const [pointed, viewport] = [pointing.pointed.value, store.viewport.value];
  if (pointed === null) return null;
  const top = rowTopDevicePx(viewport, pointed.row) / viewport.devicePixelRatio;
  return (
    <div class="pointed-row" style={{ top: px(top), height: px(rowCssPx(viewport.devicePixelRatio)) }} />
  );
}

function TreeRow({ store, tree, row, node, top, height, active }: RowProps) {
  const { root, flat, places, setSizes } = store.outline.rows.value;
  const depth = flat ? 0 : depthOf(tree, node) - depthOf(tree, root);
  const folder = hasChildren(tree, node) && !flat;
  const isOpen = folder && store.outline.open.value.has(tree.keys[node] ?? '');
  const bad = store.painted.value.nonFiniteNodes.has(node);
  const name = fullName(tree, node).slice(0, TITLE_CHARACTERS);
  const around = store.outline.kept.value?.[node] === AROUND;
  const classes = ['row', tree.kinds[node] ?? '', active ? 'active' : ''];
  if (around) classes.push('around');
  return (
    <div
      class={classes.join(' ')}
      role="treeitem"
      data-testid="treeitem"
      data-node={node}
      aria-level={depth + 1}
      aria-posinset={(places[row] ?? 0) + 1}
      aria-setsize={setSizes[row] ?? 1}
      aria-selected={active}
      {...(folder ? { 'aria-expanded': isOpen } : {})}
      tabIndex={active ? 0 : -1}
      title={bad ? `${name}: NaN or Inf in view` : name}
      style={{
        top: px(top),
        height: px(height),
        paddingLeft: px(6 + Math.min(depth, MOST_INDENTS) * INDENT_CSS_PX),
      }}
      onMouseDown={(event) => {
        // Shift and a click would select the text of all rows between.
        if (event.shiftKey) event.preventDefault();
      }}
      onClick={(event) => {
        store.activeKey.value = tree.keys[node] ?? null;
        if (folder) toggle(store, tree, node, event.shiftKey || event.altKey);
      }}
    >
      {!flat && (
        <span class={folder ? (isOpen ? 'twisty open' : 'twisty') : 'twisty none'} aria-hidden="true" />
      )}
      {flat && <bdi class="above">{pathAbove(tree, node, root)}</bdi>}
      <bdi class="name">{node === root ? fullName(tree, node) : shortName(tree, node)}</bdi>
      <Aside store={store} node={node} />
      {bad && <span class="bad">NaN/Inf</span>}
    </div>
  );
}

/** What the rows are ordered by, where they are, else the tensor's shape. */
function Aside({ store, node }: { store: Store; node: number }) {
  const value = store.outline.valueOf(node);
  const shape = store.meta.value?.nodes.shape[node] ?? [];
  if (value !== null) return <span class="figure">{formatValue(value, 'magnitude', 3)}</span>;
  return shape.length > 0 ? <span class="shape">{shape.join('×')}</span> : null;
}

/** The modules between the root and a node, with a dot at the end. */
function pathAbove(tree: Tree, node: number, root: number): string {
  const [above, rootName] = [tree.names[parentOf(tree, node)] ?? '', tree.names[root] ?? ''];
  const inside = rootName !== '' && above.startsWith(rootName) ? above.slice(rootName.length + 1) : above;
  return inside === '' ? '' : `${inside}.`;
}

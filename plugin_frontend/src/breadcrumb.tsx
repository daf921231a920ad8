import { type Tree, fullName, shortName } from './model.ts';
import type { Pointing } from './pointing.ts';
import { ancestorsOf } from './rows.ts';
import type { Store } from './store.ts';
import { activeRowOf } from './tree_keys.ts';

/** A deeper path leaves out what lies between its top and its end. */
const MOST_PARTS = 8;

const TITLE_CHARACTERS = 500;

interface Props {
  store: Store;
  pointing: Pointing;
}

/** The module path of the active row; each part leads there, and out of the focus where it lies above that. */
export function Breadcrumb({ store, pointing }: Props) {
  const [tree, { nodes, root }] = [store.tree.value, store.outline.rows.value];
  if (tree === null || tree.size === 0) return null;
  const active = nodes[activeRowOf(tree, nodes, store.activeKey.value)] ?? root;
  const path = [...ancestorsOf(tree, active), active];
  const left = path.length > MOST_PARTS ? path.length - MOST_PARTS + 1 : 0;
  const shown = left === 0 ? path : path.filter((_, i) => i === 0 || i > left);
  return (
    <nav class="breadcrumb" aria-label="Path of the active row" data-testid="breadcrumb">
      <ol>
        {shown.map((node, i) => (
          <li key={node} class={left > 0 && i === 1 ? 'after-gap' : ''}>
            <button
              type="button"
              data-testid="crumb"
              data-node={node}
              title={fullName(tree, node).slice(0, TITLE_CHARACTERS)}
              {...(node === active ? { 'aria-current': 'location' } : {})}
              onClick={() => {
                goTo(store, pointing, tree, node);
              }}
            >
              <bdi>{shortName(tree, node)}</bdi>
            </button>
          </li>
        ))}
      </ol>
      <FocusButton store={store} tree={tree} active={active} />
    </nav>
  );
}

function FocusButton({ store, tree, active }: { store: Store; tree: Tree; active: number }) {
  const focused = store.outline.root.value !== 0;
  return (
    <button
      type="button"
      class="toggle"
      data-testid="focus"
      aria-pressed={focused}
      disabled={!focused && tree.kinds[active] === 'total'}
      title={
        focused
          ? 'Show all modules again (Shift+F)'
          : 'Show the active module alone (Shift+F in the tree, F on the heatmap)'
      }
      onClick={() => {
        store.outline.focus(focused ? 0 : active);
      }}
    >
      Focus
    </button>
  );
}

/** Makes a part of the path the active row; what no row can show now becomes the root. */
function goTo(store: Store, pointing: Pointing, tree: Tree, node: number): void {
  store.activeKey.value = tree.keys[node] ?? null;
  if (!store.nodes.peek().includes(node)) store.outline.focus(node);
  pointing.revealRow(Math.max(0, store.nodes.peek().indexOf(node)));
}

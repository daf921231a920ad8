import { type Open, type Tree, openAll, openTop, withUnfolded } from './model.ts';
import { branchOf, levelsOf, openLevels } from './rows.ts';
import type { Store } from './store.ts';

/** Folds and unfolds level by level, or all at once. */
export function TreeButtons({ store }: { store: Store }) {
  const [tree, rows] = [store.tree.value, store.outline.rows.value];
  if (tree === null) return <div class="tree-head" />;
  const open = store.outline.open.value;
  const { whole, shown, all } = levelsOf(tree, rows, open);
  const set = (opener: (tree: Tree, root: number) => Open) => () => {
    store.setOpen(opener(tree, rows.root));
  };
  const step = (levels: number) => set((_, root) => openLevels(tree, open, root, levels));
  const told = rows.flat ? 'Tensors' : `Level ${shown} of ${all}`;
  return (
    <div class="tree-head" role="group" aria-label="Folds">
      <button
        type="button"
        data-testid="depth-less"
        aria-label="Fold the deepest level"
        title="Fold the deepest level"
        disabled={rows.flat || shown <= 1}
        onClick={step(shown - 1)}
      >
        −
      </button>
      <button
        type="button"
        data-testid="depth-more"
        aria-label="Unfold one level more"
        title="Unfold one level more"
        disabled={rows.flat || whole >= all}
        onClick={step(whole + 1)}
      >
        +
      </button>
      <span data-testid="depth" title={told}>
        {told}
      </span>
      <button
        type="button"
        data-testid="expand-all"
        disabled={rows.flat}
        onClick={set((_, root) => (root === 0 ? openAll(tree) : withUnfolded(open, branchOf(tree, root))))}
        title="Unfold all modules"
      >
        Unfold all
      </button>
      <button
        type="button"
        data-testid="collapse-all"
        disabled={rows.flat}
        onClick={set((_, root) => (root === 0 ? openTop(tree) : openLevels(tree, open, root, 1)))}
        title="Fold all modules"
      >
        Fold all
      </button>
    </div>
  );
}

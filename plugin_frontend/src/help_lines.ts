import { CURSOR_KEYS, HEATMAP_KEYS, PAGE_KEYS, type Shortcut } from './keys.ts';

/** Handled in `tree.tsx`. */
export const TREE_KEYS = {
  up: { keys: ['arrowup'], does: 'The row above' },
  down: { keys: ['arrowdown'], does: 'The row below' },
  right: { keys: ['arrowright'], does: 'Unfold, or the first row inside' },
  left: { keys: ['arrowleft'], does: 'Fold, or the module around' },
  ends: { keys: ['home', 'end'], does: 'The first row, the last row' },
  toggle: { keys: ['enter', ' '], does: 'Fold or unfold' },
  siblings: { keys: ['*'], does: 'Unfold all modules beside this one' },
  branch: { keys: [], gesture: 'Shift + ← or →', does: 'Fold or unfold all that is inside' },
  alone: { keys: [], gesture: 'Shift + F', does: 'This module alone, or all again' },
  name: { keys: [], gesture: 'Letters', does: 'The next row whose name begins so' },
} as const satisfies Record<string, Shortcut>;

/** Handled in `minimap.tsx`, on the window and on its two edges. */
export const MINIMAP_KEYS = {
  move: { keys: ['arrowleft', 'arrowright'], does: 'Move the window, or its edge' },
  page: { keys: ['pagedown', 'pageup'], does: 'Move it further' },
  ends: { keys: ['home', 'end'], does: 'To the begin, to the end of the run' },
} as const satisfies Record<string, Shortcut>;

const GESTURES: readonly Shortcut[] = [
  { keys: [], gesture: 'Wheel', does: 'Scroll the rows' },
  { keys: [], gesture: 'Ctrl or Alt + wheel', does: 'Zoom the steps under the pointer' },
  { keys: [], gesture: 'Shift + wheel', does: 'Earlier or later steps' },
  { keys: [], gesture: 'Drag', does: 'Show the steps in the box' },
  { keys: [], gesture: 'Shift + drag, or middle button', does: 'Earlier or later steps' },
  { keys: [], gesture: 'Click', does: 'Open a cell: line, figures, row' },
  { keys: [], gesture: 'Double click', does: 'The whole run' },
  { keys: [], gesture: 'One finger, two fingers', does: 'Pan, zoom' },
];

/** What the help lists. */
export const HELP: readonly { title: string; shortcuts: readonly Shortcut[] }[] = [
  { title: 'Everywhere', shortcuts: Object.values(PAGE_KEYS) },
  { title: 'Steps', shortcuts: Object.values(HEATMAP_KEYS) },
  { title: 'Mouse and touch on the heatmap', shortcuts: GESTURES },
  { title: 'Cells of the heatmap (with Shift: ten)', shortcuts: Object.values(CURSOR_KEYS) },
  { title: 'Module tree', shortcuts: Object.values(TREE_KEYS) },
  { title: 'Minimap', shortcuts: Object.values(MINIMAP_KEYS) },
];

const SHOWN: Readonly<Record<string, string>> = {
  ' ': 'Space',
  '-': '−',
  arrowup: '↑',
  arrowdown: '↓',
  arrowleft: '←',
  arrowright: '→',
  pageup: 'Page up',
  pagedown: 'Page down',
};

/** A key as it is written on it. */
export function keyLabel(key: string): string {
  return SHOWN[key] ?? key.charAt(0).toUpperCase() + key.slice(1);
}

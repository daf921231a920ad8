/** A line of the help: keys as `KeyboardEvent.key` names them, in lower case, or a gesture in words. */
export interface Shortcut {
  readonly keys: readonly string[];
  readonly gesture?: string;
  readonly does: string;
}

/** Handled on the heatmap, and on the page while nothing has the focus; each has its action in `gestures.ts`. */
export const HEATMAP_KEYS = {
  zoomIn: { keys: ['w', '+', '='], does: 'Closer' },
  zoomOut: { keys: ['s', '-'], does: 'Further away' },
  panLeft: { keys: ['a'], does: 'Earlier steps' },
  panRight: { keys: ['d'], does: 'Later steps' },
  showAll: { keys: ['0'], does: 'The whole run' },
  back: { keys: ['backspace'], does: 'The steps in view before' },
} as const satisfies Record<string, Shortcut>;

/** Handled on the heatmap alone. Shift makes ten cells of one. */
export const CURSOR_KEYS = {
  up: { keys: ['arrowup'], does: 'The row above' },
  down: { keys: ['arrowdown'], does: 'The row below' },
  left: { keys: ['arrowleft'], does: 'The cell before' },
  right: { keys: ['arrowright'], does: 'The next cell' },
  pageUp: { keys: ['pageup'], does: 'Twenty rows up' },
  pageDown: { keys: ['pagedown'], does: 'Twenty rows down' },
  first: { keys: ['home'], does: 'The first cell' },
  last: { keys: ['end'], does: 'The last cell' },
  enter: { keys: ['enter'], does: 'Open the cell: line, figures, row' },
  pin: { keys: ['p'], does: 'Pin the row to the chart, or take it off' },
  focusModule: { keys: ['f'], does: 'This module alone, or all again' },
  leave: { keys: ['escape'], does: 'No cell; ends a drag as well' },
} as const satisfies Record<string, Shortcut>;

/** Handled wherever nothing is being typed. */
export const PAGE_KEYS = {
  help: { keys: ['?'], does: 'This list' },
  nextAlert: { keys: ['.'], does: 'The next alert' },
  lastAlert: { keys: [','], does: 'The alert before' },
  filter: { keys: ['/'], does: 'To the filter of the rows' },
} as const satisfies Record<string, Shortcut>;

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

/** The name of the shortcut that a key stands for, or null. */
export function shortcutOf<K extends string>(table: Readonly<Record<K, Shortcut>>, key: string): K | null {
  const wanted = key.toLowerCase();
  const found = Object.entries<Shortcut>(table).find(([, { keys }]) => keys.includes(wanted));
  return found === undefined ? null : (found[0] as K);
}

/** Of the inputs, those in which a key is no text. */
const WITHOUT_TEXT = ['checkbox', 'radio', 'button', 'range'];

/** The name of the page's shortcut that is meant: none where keys are text, with Ctrl and the like, or in a dialog. */
export function pageShortcutOf(event: KeyboardEvent): keyof typeof PAGE_KEYS | null {
  const other = event.ctrlKey || event.altKey || event.metaKey || takesText(event.target);
  const name = other ? null : shortcutOf(PAGE_KEYS, event.key);
  // What a dialog lies upon must not change behind it; the list of keys goes by the key that it came by.
  const dialog = document.querySelector('dialog[open]');
  return dialog === null || (name === 'help' && dialog.matches('.help')) ? name : null;
}

/** A select looks for an option by what is typed. */
function takesText(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !WITHOUT_TEXT.includes(target.type);
  return target.isContentEditable || ['TEXTAREA', 'SELECT'].includes(target.tagName);
}

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

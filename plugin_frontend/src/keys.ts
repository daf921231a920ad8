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

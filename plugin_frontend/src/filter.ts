import { type Open, type Tree, hasChildren, parentOf } from './model.ts';
import type { Kind } from './node_kinds.ts';

/** What the tree is narrowed to. */
export interface Filter {
  readonly text: string;
  readonly kinds: readonly Kind[];
}

export const NO_FILTER: Filter = { text: '', kinds: [] };

/** Of each name only so much is searched: names come from files, and may be of any length. */
export const SEARCHED_CHARACTERS = 1_000;

/** With so few rows there is nothing to gain from folds. */
const ROWS_WITHOUT_FOLDS = 40;

export type Query =
  | { readonly kind: 'none' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'regex'; readonly source: string; readonly flags: string }
  | { readonly kind: 'invalid'; readonly why: string };

/** Words that must all occur in a name, or, behind a slash, a regular expression with its flags: `/attn.*bias$/i`. */
export function queryOf(text: string): Query {
  if (text.startsWith('/')) return regexOf(text);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? { kind: 'none' } : { kind: 'words', words };
}

/** The closing slash may be missing, as it does while somebody types. */
function regexOf(text: string): Query {
  const parts = /^\/((?:\\.|\[(?:\\.|[^\]\\])*\]|[^\\/])*)(?:\/([a-z]*)\s*)?$/su.exec(text);
  const [source, flags] = parts === null ? [text.slice(1), ''] : [parts[1] ?? '', parts[2] ?? ''];
  try {
    // Every name is searched once from its start: what these two flags remember would only be in the way.
    const regex = new RegExp(source, flags);
    if (parts === null)
      return { kind: 'invalid', why: 'Expected /pattern/flags, with a \\ before a slash inside.' };
    return source === ''
      ? { kind: 'none' }
      : { kind: 'regex', source, flags: regex.flags.replace(/[gy]/g, '') };
  } catch (error) {
    return { kind: 'invalid', why: error instanceof Error ? error.message : String(error) };
  }
}

/** Lower-case names without their tails, for `matchWords`. */
export function searchable(names: readonly string[]): string[] {
  return names.map((name) => name.slice(0, SEARCHED_CHARACTERS).toLowerCase());
}

/** Names that hold all the words, one byte each. */
export function matchWords(lowerNames: readonly string[], words: readonly string[]): Uint8Array {
  return Uint8Array.from(lowerNames, (name) => (words.every((word) => name.includes(word)) ? 1 : 0));
}

export const HIDDEN = 0;
/** Shown for what is inside it alone. */
export const AROUND = 1;
/** A match, or inside one. */
export const FOUND = 2;

/** What is left of the tree, `[node]`: the matches with all that is inside them, and their ancestors. */
export function keptOf(tree: Tree, matched: Uint8Array): Uint8Array {
  const kept = new Uint8Array(tree.size);
  for (let node = 1; node < tree.size; node++)
    if (matched[node] === 1 || kept[parentOf(tree, node)] === FOUND) kept[node] = FOUND;
  for (let node = tree.size - 1; node > 0; node--)
    if (kept[node] !== HIDDEN && kept[parentOf(tree, node)] === HIDDEN) kept[parentOf(tree, node)] = AROUND;
  return kept;
}

/** Folds that show all the uppermost matches; a handful of rows is unfolded entirely. */
export function openAround(tree: Tree, kept: Uint8Array): Open {
  const few = kept.reduce((rows, state) => rows + (state === HIDDEN ? 0 : 1), 0) <= ROWS_WITHOUT_FOLDS;
  return new Set(
    tree.keys.filter(
      (_, node) =>
        hasChildren(tree, node) && (node === 0 || kept[node] === AROUND || (few && kept[node] === FOUND)),
    ),
  );
}

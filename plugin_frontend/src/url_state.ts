import { type Open, type Tree, openAll, openFirstLook, openTop } from './model.ts';
import type { StepWindow } from './scales.ts';

/**
 * What is shown, as text in a URL's fragment: `#gradhealth&p.gradhealth.v=1&p.gradhealth.metric=norm&…`. TensorBoard's
 * own scheme for its plugins: it keeps such parameters when another tab is chosen, and writes values anew with
 * `encodeURIComponent`, so the separators here are characters that this function leaves alone.
 */
const PREFIX = 'p.gradhealth.';

/** Of another version, the same keys may mean something else: nothing of it is read. */
const VERSION = '1';

/** Fragments beyond this are not ours. */
const MOST_CHARACTERS = 65_536;

/** Names of tensors up to this length are written in full. */
const NAME_CHARACTERS = 200;
const NAME_START_CHARACTERS = 80;

/** Modules that may be folded otherwise than the base: a link that is too long to be sent is no link. */
const MOST_FOLDS = 40;

/** Steps beyond this are no whole numbers any more. */
const MOST_STEPS = Number.MAX_SAFE_INTEGER;

/** Our parameters by key, without prefix and version. */
export type Parts = ReadonlyMap<string, string>;

/** One part of the state as text, and back: null for text that is none. Whatever decodes is within bounds. */
export interface Codec<T> {
  encode(value: T): string;
  decode(text: string): T | null;
}

export function partsOf(hash: string): Parts {
  const parts = new Map<string, string>();
  if (hash.length > MOST_CHARACTERS) return parts;
  for (const token of tokensOf(hash)) {
    const [name = '', value, ...rest] = token.split('=');
    const [key, text] = [decoded(name), decoded(value ?? '')];
    const ours = key?.startsWith(PREFIX) === true && value !== undefined && rest.length === 0;
    if (ours && text !== null) parts.set(key.slice(PREFIX.length), text);
  }
  const known = parts.get('v') === VERSION;
  parts.delete('v');
  return known ? parts : new Map();
}

/** The fragment with our parameters replaced by these; all others stay as they are. */
export function withParts(hash: string, parts: Parts): string {
  const others = tokensOf(hash).filter((token) => decoded(token)?.startsWith(PREFIX) !== true);
  const ours = [...(parts.size === 0 ? [] : [['v', VERSION] as const]), ...parts];
  const written = ours.map(([key, text]) => `${PREFIX}${key}=${encodeURIComponent(wellFormed(text))}`);
  return '#' + [...others, ...written].join('&');
}

export function sameParts(a: Parts, b: Parts): boolean {
  return a.size === b.size && [...a].every(([key, text]) => b.get(key) === wellFormed(text));
}

function tokensOf(hash: string): string[] {
  return hash
    .replace(/^#/, '')
    .split('&')
    .filter((token) => token !== '');
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Half of a surrogate pair cannot be written into a URL. */
function wellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '�');
}

/** Any text of up to `most` characters that a URL can hold; longer text is cut when written. */
export function words(most: number): Codec<string> {
  return {
    encode: (text) => wellFormed(text.slice(0, most)),
    decode: (text) => (text.length <= most ? text : null),
  };
}

export function oneOf<const T extends string>(...names: T[]): Codec<T> {
  return { encode: (name) => name, decode: (text) => names.find((name) => name === text) ?? null };
}

export const truth: Codec<boolean> = {
  encode: (value) => (value ? '1' : '0'),
  decode: (text) => (text === '1' ? true : text === '0' ? false : null),
};

/** Up to `most` items behind one another, with `~` between them and `!` before a `~` or `!` that is part of one. */
export function listOf<T>(item: Codec<T>, most: number): Codec<readonly T[]> {
  return {
    encode: (items) =>
      items
        .slice(0, most)
        .map((one) => item.encode(one).replaceAll(/[!~]/g, '!$&') + '~')
        .join(''),
    decode: (text) => {
      const texts = text.match(/(?:[^!~]|![!~])*~/gsu) ?? [];
      if (texts.join('') !== text || texts.length > most) return null;
      const items = texts.map((one) => item.decode(one.slice(0, -1).replaceAll(/!([!~])/g, '$1')));
      return items.includes(null) ? null : (items as T[]);
    },
  };
}

/** Finite numbers with `_` between them. */
export function numbers(count: number): Codec<readonly number[]> {
  return {
    encode: (values) => values.map((value) => String(value)).join('_'),
    decode: (text) => {
      const parts = text.split('_');
      const plain = parts.every((part) => /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/u.test(part));
      const values = parts.map(Number);
      return plain && values.length === count && values.every(Number.isFinite) ? values : null;
    },
  };
}

/** Steps [start, end), to a hundred thousandth of the window: far below a pixel. */
export const stepWindow: Codec<StepWindow> = {
  encode: ({ start, end }) => {
    const digits = Math.min(12, Math.max(0, Math.ceil(5 - Math.log10(end - start))));
    return numbers(2).encode([start, end].map((step) => Number(step.toFixed(digits))));
  },
  decode: (text) => {
    const [start, end] = numbers(2).decode(text) ?? [];
    if (start === undefined || end === undefined || !(start < end)) return null;
    return Math.max(Math.abs(start), Math.abs(end)) <= MOST_STEPS ? { start, end } : null;
  },
};

/**
 * A node's key with `-` behind its kind. Only a name that is too long, or no valid text, is abbreviated: its begin
 * and a hash of the whole.
 */
export function nodeText(key: string): string {
  const text = key.replace(':', '-');
  if (key.length <= NAME_CHARACTERS && wellFormed(key) === key) return text;
  return `${wellFormed(text.slice(0, NAME_START_CHARACTERS))}...${hashOf(key)}`;
}

/** The key that `nodeText` has written. */
export function nodeIn(text: string, keys: readonly string[]): string | null {
  const key = text.replace('-', ':');
  if (keys.includes(key)) return key;
  return keys.find((one) => nodeText(one) === text) ?? null;
}

/** FNV-1a over UTF-16 code units, 32 bits. */
function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

/** `<step>.<node>`. */
export const placeText = {
  encode: ({ key, step }: { key: string; step: number }): string => `${step}.${nodeText(key)}`,
  decode: (text: string, keys: readonly string[]): { key: string; step: number } | null => {
    const [, digits = '', node = ''] = /^(-?\d{1,16})\.(.*)$/su.exec(text) ?? [];
    const [step, key] = [Number(digits), nodeIn(node, keys)];
    return digits === '' || key === null || Math.abs(step) > MOST_STEPS ? null : { key, step };
  },
};

const BASES = { first: openFirstLook, all: openAll, top: openTop } as const;
const folds = listOf(words(NAME_CHARACTERS + 8), MOST_FOLDS + 1);

/** Which modules are unfolded: one of three bases, and the nodes that differ from it (`.` before folded ones). */
export function foldsText(tree: Tree, open: Open): string | null {
  const choices = Object.entries(BASES).map(([name, base]) => {
    const from = base(tree);
    return { name, from, differing: tree.keys.filter((key) => open.has(key) !== from.has(key)) };
  });
  const [best] = choices.sort((a, b) => a.differing.length - b.differing.length);
  if (best === undefined || (best.name === 'first' && best.differing.length === 0)) return null;
  const { name, from, differing } = best;
  const changes = differing.slice(0, MOST_FOLDS).map((key) => (from.has(key) ? '.' : '') + nodeText(key));
  return folds.encode([name, ...changes]);
}

/** Null where the text names no base; nodes that the tree does not have are left out. */
export function foldsOf(text: string, tree: Tree): Open | null {
  const [name = '', ...changes] = folds.decode(text) ?? [];
  const base = Object.entries(BASES).find(([known]) => known === name)?.[1];
  if (base === undefined) return null;
  const open = new Set(base(tree));
  for (const change of changes) {
    const key = nodeIn(change.replace(/^\./u, ''), tree.keys);
    if (key === null) continue;
    if (change.startsWith('.')) open.delete(key);
    else open.add(key);
  }
  return open;
}

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';

const STATIC = new URL('../../tb_gradhealth/plugin/static/', import.meta.url);

/** What is to be loaded before the first complete picture, in bytes of gzip. */
const MOST_BYTES = 60_000;

/** A file and all that it imports at once, in turn. Imports of the built files are `from"./x.js"` or `import"./x.js"`. */
function withImports(url: URL, known = new Map<string, string>()): Map<string, string> {
  if (known.has(url.href)) return known;
  const code = readFileSync(url, 'utf8');
  known.set(url.href, code);
  for (const [, path] of code.matchAll(/(?:\bfrom|\bimport)\s*["'](\.{1,2}\/[^"']+\.js)["']/g))
    withImports(new URL(path ?? '', url), known);
  return known;
}

it('the bundle of the first view stays small: load late, through late.tsx, what a first picture does without', () => {
  const files = [...withImports(new URL('index.js', STATIC)).values()];
  const bytes = files.reduce((sum, code) => sum + gzipSync(code).length, 0);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThanOrEqual(MOST_BYTES);
});

it('a late file imports what the page has, and has no copy of it', () => {
  const index = readFileSync(new URL('index.js', STATIC), 'utf8');
  const late = [...index.matchAll(/\bimport\(["'`](\.\/assets\/[^"'`]+\.js)["'`]\)/g)].map(
    ([, path]) => path ?? '',
  );
  expect(late).toHaveLength(1);
  for (const path of late)
    expect([...withImports(new URL(path, STATIC)).keys()]).toContain(new URL('index.js', STATIC).href);
});

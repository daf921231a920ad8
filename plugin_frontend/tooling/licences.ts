import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

interface Package {
  name: string;
  version: string;
  license: string;
}

/** Folder of the npm package that a bundled file belongs to, or null for our own files. */
function packageFolder(file: string): string | null {
  const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll('\\', '/'));
  return match?.[1] ?? null;
}

function entry(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;
  const name = readdirSync(folder).find((file) => /^licen[cs]e(\.\w+)?$/i.test(file));
  if (name === undefined)
    throw new Error(`expected a licence file in ${folder}, found none: bundle another package`);
  const text = readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim();
  return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
}

/**
 * Writes THIRD_PARTY_LICENSES.txt beside the bundle: one entry for each package with code in it, and for each of
 * `derived`, packages whose data (colour tables) was sampled at build time.
 */
export function licences(derived: readonly string[]): Plugin {
  let root = '';
  return {
    name: 'gradhealth-licences',
    apply: 'build',
    configResolved(config) {
      root = config.root;
    },
    generateBundle(_, bundle) {
      const folders = new Set(derived.map((name) => join(root, 'node_modules', name)));
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== 'chunk') continue;
        for (const id of chunk.moduleIds) {
          const folder = packageFolder(id);
          if (folder !== null && existsSync(dirname(folder))) folders.add(folder);
        }
      }
      const entries = [...folders].map(entry).sort((a, b) => (a < b ? -1 : 1));
      const head = 'The bundle index.js contains code or data of these packages.\n';
      this.emitFile({
        type: 'asset',
        fileName: 'THIRD_PARTY_LICENSES.txt',
        source: [head, ...entries].join(`\n${'-'.repeat(80)}\n\n`),
      });
    },
  };
}

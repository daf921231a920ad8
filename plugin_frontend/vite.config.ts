import { defineConfig } from 'vitest/config';
import { colourMaps } from './tooling/colour_maps.ts';
import { licences } from './tooling/licences.ts';

// Fixed names and no minifier: the bundle is committed, so a change to it must read as a diff, and a rebuild
// must give the same bytes.
export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [colourMaps(), licences(['d3-scale-chromatic'])],
  build: {
    outDir: '../tb_gradhealth/plugin/static',
    emptyOutDir: true,
    target: 'es2022',
    minify: false,
    sourcemap: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: {
      input: 'src/index.ts',
      preserveEntrySignatures: 'strict',
      output: {
        format: 'es',
        entryFileNames: 'index.js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  test: {
    include: ['tests/**/*.test.{ts,tsx}'],
    environment: 'node',
    setupFiles: ['tests/support/seed.ts'],
    // Property tests take a second or two, and several times that on a busy machine.
    testTimeout: 30_000,
  },
});

import { defineConfig } from 'vitest/config';
import { colourMaps } from './tooling/colour_maps.ts';
import { licences } from './tooling/licences.ts';

// The bundle is committed, so a rebuild must give the same bytes. Its source map stands beside it.
export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [colourMaps(), licences(['d3-scale-chromatic'])],
  build: {
    outDir: '../tb_gradhealth/plugin/static',
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: {
      input: 'src/index.ts',
      preserveEntrySignatures: 'allow-extension',
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

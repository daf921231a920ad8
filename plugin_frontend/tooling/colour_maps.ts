import { interpolateCividis, interpolatePuOr, interpolateRdBu, interpolateViridis } from 'd3-scale-chromatic';
import type { Plugin } from 'vite';

const MODULE = 'virtual:colour-maps';

/** As in `src/colours.ts`. */
const NO_DIFFERENCE = 78;

/**
 * 256 colours as text, so that the bundle carries the table and not the library: all reds, greens and blues, each
 * as its difference from the one before, modulo 256. Neighbours differ by little, which a compressed bundle uses.
 */
function differences(interpolate: (t: number) => string): string {
  const colours = Array.from({ length: 256 }, (_, i) => channelsOf(interpolate(i / 255)));
  const bytes = [0, 1, 2].flatMap((channel) => colours.map((colour) => colour[channel] ?? 0));
  return bytes
    .map((byte, i) => String.fromCharCode((NO_DIFFERENCE + byte - (bytes[i - 1] ?? 0)) & 255))
    .join('');
}

function channelsOf(css: string): number[] {
  if (css.startsWith('#')) return [1, 3, 5].map((at) => Number.parseInt(css.slice(at, at + 2), 16));
  return (css.match(/\d+/g) ?? []).slice(0, 3).map(Number);
}

/** Serves `virtual:colour-maps`: the colour tables, taken from d3-scale-chromatic at build time. */
export function colourMaps(): Plugin {
  return {
    name: 'gradhealth-colour-maps',
    resolveId: (id) => (id === MODULE ? '\0' + MODULE : undefined),
    load(id) {
      if (id !== '\0' + MODULE) return undefined;
      // The diverging maps are turned round, so that positive reads as warm.
      const maps = {
        cividis: differences(interpolateCividis),
        viridis: differences(interpolateViridis),
        rdbu: differences((t) => interpolateRdBu(1 - t)),
        puor: differences((t) => interpolatePuOr(1 - t)),
      };
      return `export const COLOUR_MAPS = ${JSON.stringify(maps, null, 2)};`;
    },
  };
}

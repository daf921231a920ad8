import { interpolateCividis, interpolatePuOr, interpolateRdBu, interpolateViridis } from 'd3-scale-chromatic';
import type { Plugin } from 'vite';

const MODULE = 'virtual:colour-maps';

/** 256 colours as one string of hex digits, so that the bundle carries the table and not the library. */
function sampled(interpolate: (t: number) => string): string {
  return Array.from({ length: 256 }, (_, i) => hexOf(interpolate(i / 255))).join('');
}

function hexOf(css: string): string {
  if (css.startsWith('#')) return css.slice(1);
  const channels = css.match(/\d+/g) ?? [];
  return channels
    .slice(0, 3)
    .map((channel) => Number(channel).toString(16).padStart(2, '0'))
    .join('');
}

/** Serves `virtual:colour-maps`: the colour tables, sampled from d3-scale-chromatic at build time. */
export function colourMaps(): Plugin {
  return {
    name: 'gradhealth-colour-maps',
    resolveId: (id) => (id === MODULE ? '\0' + MODULE : undefined),
    load(id) {
      if (id !== '\0' + MODULE) return undefined;
      // The diverging maps are turned round, so that positive reads as warm.
      const maps = {
        cividis: sampled(interpolateCividis),
        viridis: sampled(interpolateViridis),
        rdbu: sampled((t) => interpolateRdBu(1 - t)),
        puor: sampled((t) => interpolatePuOr(1 - t)),
      };
      return `export const COLOUR_MAPS = ${JSON.stringify(maps, null, 2)};`;
    },
  };
}

declare module 'virtual:colour-maps' {
  /** 256 colours each: `colours.ts` has their 768 bytes out of these differences. */
  export const COLOUR_MAPS: Readonly<Record<'cividis' | 'viridis' | 'rdbu' | 'puor', string>>;
}

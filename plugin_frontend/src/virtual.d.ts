declare module 'virtual:colour-maps' {
  /** 256 colours each, as one string of hex digits. */
  export const COLOUR_MAPS: Readonly<Record<'cividis' | 'viridis' | 'rdbu' | 'puor', string>>;
}

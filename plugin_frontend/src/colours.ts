import { COLOUR_MAPS } from 'virtual:colour-maps';
import type { Kind, ScaleName } from './contract.ts';
import { type Range, position, zeroIsApart } from './ranges.ts';

export type ColourMap = keyof typeof COLOUR_MAPS;
export type Rgb = readonly [number, number, number];

export const COLOUR_MAPS_OF: Record<
  'sequential' | 'diverging',
  readonly { name: ColourMap; label: string }[]
> = {
  sequential: [
    { name: 'cividis', label: 'Cividis' },
    { name: 'viridis', label: 'Viridis' },
  ],
  diverging: [
    { name: 'rdbu', label: 'Blue to red' },
    { name: 'puor', label: 'Purple to orange' },
  ],
};

/** Zero on a log scale: below every colour of the ramps, and a blue that cividis, viridis and their greys lack. */
export const ZERO: Rgb = [150, 190, 235];

/** Zero beside a diverging ramp: as dark as nothing in it that has no hue. */
export const ZERO_DIVERGING: Rgb = [112, 112, 112];

/** NaN and Inf, in both themes; white signs on it have a contrast of 5.6:1. */
export const NON_FINITE: Rgb = [196, 0, 150];

const RAMP_COLOURS = 256;
const CODES = 65_536;

/** bf16 codes of −0, of 1 and of infinity; above that, up to the sign, all are NaN. */
const [SIGN_CODE, ONE_CODE, INFINITY_CODE] = [0x8000, 0x3f80, 0x7f80];

/** What `colourIndices` holds for a code without a colour of the ramp. */
export const NO_DATA_INDEX = RAMP_COLOURS;
export const ZERO_INDEX = RAMP_COLOURS + 1;

export function colourFamily(kind: Kind, scale: ScaleName): 'sequential' | 'diverging' {
  return kind === 'signed' || scale === 'diverging' ? 'diverging' : 'sequential';
}

/** The colour of an exact 0 where it has no place on the ramp. */
export function zeroColour({ scale }: Range): Rgb {
  return scale === 'diverging' ? ZERO_DIVERGING : ZERO;
}

export function cssColour([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

/** The code of a character that stands for the same byte again. */
const NO_DIFFERENCE = 78;

/** `[channel, colour]` of the maps that have been used. */
const RAMPS: Partial<Record<ColourMap, Uint8Array>> = {};

/** Bytes out of their differences, modulo 256. */
function summed(differences: string): Uint8Array {
  let byte = 0;
  return Uint8Array.from(differences, (one) => (byte += one.charCodeAt(0) - NO_DIFFERENCE));
}

export function rampColour(map: ColourMap, t: number): Rgb {
  const index = Math.min(RAMP_COLOURS - 1, Math.max(0, Math.round(t * (RAMP_COLOURS - 1))));
  const bytes = (RAMPS[map] ??= summed(COLOUR_MAPS[map]));
  const channel = (one: number) => bytes[one * RAMP_COLOURS + index] ?? 0;
  return [channel(0), channel(1), channel(2)];
}

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);

/** bf16 is the upper half of a float32. */
export function bf16Value(code: number): number {
  bits[0] = code << 16;
  return asFloat[0] ?? Number.NaN;
}

/** A folded fraction: up to 0.5 as itself, above as −(1 − f), so that −0 is exactly 1. */
export function foldedValue(code: number): number {
  const value = bf16Value(code);
  return value < 0 || Object.is(value, -0) ? 1 + value : value;
}

export function valueOf(code: number, folded: boolean): number {
  return folded ? foldedValue(code) : bf16Value(code);
}

/** For each of the 65,536 codes: an index into the ramp, or NO_DATA_INDEX or ZERO_INDEX. */
export function colourIndices(range: Range, folded: boolean): Uint16Array {
  const indices = new Uint16Array(CODES).fill(NO_DATA_INDEX);
  const indexOf = (code: number) =>
    // A number without a place, as a negative one on a logarithmic ramp, is below all others.
    Math.min(RAMP_COLOURS - 1, Math.floor(position(range, valueOf(code, folded)) * RAMP_COLOURS)) || 0;
  // With the size of a number its index rises or falls, so a stretch whose ends agree is of one colour.
  const fill = (first: number, last: number, atFirst: number, atLast: number) => {
    if (atFirst === atLast) indices.fill(atFirst, first, last + 1);
    else if (last - first === 1) indices.set([atFirst, atLast], first);
    else {
      const middle = (first + last) >> 1;
      const atMiddle = indexOf(middle);
      fill(first, middle, atFirst, atMiddle);
      fill(middle, last, atMiddle, atLast);
    }
  };
  for (const sign of [0, SIGN_CODE])
    fill(sign, sign + INFINITY_CODE, indexOf(sign), indexOf(sign + INFINITY_CODE));
  if (zeroIsApart(range))
    for (const code of folded ? [0, SIGN_CODE + ONE_CODE] : [0, SIGN_CODE]) indices[code] = ZERO_INDEX;
  return indices;
}

/** RGBA for each code, as one little-endian word; no data is transparent. */
export function colourTable(range: Range, folded: boolean, map: ColourMap): Uint32Array {
  const palette = new Uint32Array(RAMP_COLOURS + 2);
  for (let i = 0; i < RAMP_COLOURS; i++) palette[i] = word(rampColour(map, i / (RAMP_COLOURS - 1)));
  palette[NO_DATA_INDEX] = 0;
  palette[ZERO_INDEX] = word(zeroColour(range));
  const table = new Uint32Array(CODES);
  const indices = colourIndices(range, folded);
  for (let code = 0; code < CODES; code++) table[code] = palette[indices[code] ?? NO_DATA_INDEX] ?? 0;
  return table;
}

function word([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

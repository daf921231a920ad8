/** More lines than these cannot be told apart in one chart. */
export const MOST_PINS = 8;

/** Dashes of the lines' styles, in CSS pixels; style 0 is the cursor's line, 1 to 8 are those of pins. */
export const DASHES: readonly (readonly number[])[] = [
  [],
  [8, 3],
  [2, 3],
  [8, 3, 2, 3],
  [14, 4],
  [5, 5],
  [8, 3, 2, 3, 2, 3],
  [14, 4, 2, 4],
  [1, 5],
];

/** A node kept in the chart, by its key; it keeps its style while others come and go. */
export interface Pin {
  readonly key: string;
  readonly style: number;
}

/** Pins a node with the first style that is free, or takes its pin away. More than MOST_PINS are not taken. */
export function toggled(pins: readonly Pin[], key: string): readonly Pin[] {
  if (pins.some((pin) => pin.key === key)) return pins.filter((pin) => pin.key !== key);
  const taken = new Set(pins.map((pin) => pin.style));
  const style = DASHES.findIndex((_, i) => i > 0 && !taken.has(i));
  return style < 0 || pins.length >= MOST_PINS ? pins : [...pins, { key, style }];
}

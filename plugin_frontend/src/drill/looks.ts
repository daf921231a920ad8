import type { Look } from '../lines/draw.ts';
import { DASHES } from './pins.ts';

/** Room for the labels of the value axis, left of the steps. */
export const GUTTER_CSS_PX = 54;

/** A colour of the theme, as the element has it. */
export function colourOf(element: Element, variable: string): string {
  return getComputedStyle(element).getPropertyValue(variable).trim();
}

export function lookOf(element: Element, style: number, emphasised: boolean): Look {
  const widthCssPx = emphasised ? 2.2 : 1.6;
  return { colour: colourOf(element, `--series-${style}`), dash: DASHES[style] ?? [], widthCssPx };
}

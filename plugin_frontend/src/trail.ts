import type { StepWindow } from './scales.ts';

/** Changes that follow one another sooner than this are one movement: a drag, turns of a wheel, a held key. */
const PAUSE_MS = 600;

const MOST_PAST = 50;

/** Windows that have been looked at, so that one can go back. Null is the whole run. */
export interface Trail {
  readonly present: StepWindow | null;
  /** The latest last. */
  readonly past: readonly (StepWindow | null)[];
  readonly movedMs: number;
}

export const NO_TRAIL: Trail = { present: null, past: [], movedMs: Number.NEGATIVE_INFINITY };

/** With a new window in view; what stood still before the movement is kept. `held` says that it surely goes on. */
export function moved(trail: Trail, window: StepWindow | null, nowMs: number, held = false): Trail {
  if (same(trail.present, window)) return trail;
  const goesOn = held || nowMs - trail.movedMs < PAUSE_MS;
  const past = goesOn ? trail.past : [...trail.past, trail.present].slice(-MOST_PAST);
  return { present: window, past, movedMs: nowMs };
}

/** One movement back, or null at the begin. */
export function back({ past }: Trail): Trail | null {
  const present = past.at(-1);
  return present === undefined ? null : { ...NO_TRAIL, present, past: past.slice(0, -1) };
}

function same(a: StepWindow | null, b: StepWindow | null): boolean {
  return a === b || (a !== null && b !== null && a.start === b.start && a.end === b.end);
}

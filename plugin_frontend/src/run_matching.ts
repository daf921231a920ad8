import type { Run } from './contract.ts';
import { shortened } from './format.ts';

/** Longest name of a run on the page, and longest reason why it cannot be shown. */
export const LABEL_CHARACTERS = 60;
const REASON_CHARACTERS = 160;

/** Runs of one status, under one heading. */
export interface RunGroup {
  readonly status: Run['status'];
  readonly heading: string;
  readonly runs: readonly Run[];
}

const HEADINGS: readonly (readonly [Run['status'], string])[] = [
  ['ok', 'Grad Health runs'],
  ['waiting', 'Waiting for the first row'],
  ['unreadable', 'Cannot be read'],
  ['none', 'No Grad Health data'],
];

/** Runs whose label has every word of the query in it, in any order and case, by status; groups without any are left out. */
export function groupsOf(runs: readonly Run[], query: string): RunGroup[] {
  const words = query.toLowerCase().split(/\s+/u).filter(Boolean);
  const matching = runs.filter((run) => {
    const label = run.label.toLowerCase();
    return words.every((word) => label.includes(word));
  });
  return HEADINGS.map(([status, heading]) => ({
    status,
    heading,
    runs: matching.filter((run) => run.status === status),
  })).filter((group) => group.runs.length > 0);
}

export function labelOf(run: Run): string {
  return shortened(run.label, LABEL_CHARACTERS);
}

/** What to know of a run before it is chosen. */
export function remarkOf(run: Run): string {
  const words = { ok: '', waiting: 'waiting', unreadable: 'unreadable', none: 'no data' }[run.status];
  const reason = run.problem === null ? '' : shortened(run.problem, REASON_CHARACTERS);
  return [words, reason].filter((part) => part !== '').join(': ');
}

/** A line of the list: a heading or a run, from top to bottom. */
export type Line = { readonly heading: string } | { readonly run: Run; readonly place: number };

export function linesOf(groups: readonly RunGroup[]): Line[] {
  const lines: Line[] = [];
  let place = 0;
  for (const { heading, runs } of groups) {
    lines.push({ heading });
    for (const run of runs) lines.push({ run, place: place++ });
  }
  return lines;
}

import type { Note, Session } from './contract.ts';
import type { StepWindow } from './scales.ts';

/** How a mark looks; notes of kinds that this front end does not know are `other`. */
export type Look = 'diverged' | 'skipped' | 'not_stepped' | 'other' | 'rewind' | 'resume';

/** Something that happened at a step: a note, or a session that took over from the one before. */
export type Mark =
  | { readonly look: Look; readonly at: number; readonly note: Note }
  | { readonly look: Look; readonly at: number; readonly session: Session; readonly before: Session };

/** Marks too close to be told apart, in the order of steps. */
export interface Cluster {
  readonly at: number;
  readonly marks: readonly Mark[];
}

/** The first of these that a cluster has is drawn; a session's line is drawn besides. */
const NOTE_LOOKS: readonly Look[] = ['diverged', 'skipped', 'not_stepped', 'other'];
const SESSION_LOOKS: readonly Look[] = ['rewind', 'resume'];

/** Closer than this, a click shows fewer cells than one can make sense of. */
const CELLS_AROUND = 16;

function lookOf(kind: string): Look {
  return NOTE_LOOKS.find((look) => look === kind) ?? 'other';
}

/** All marks in the order of steps: a note of a step stands in its middle, what came before the step at its begin. */
export function marksOf(sessions: readonly Session[], notes: readonly Note[]): Mark[] {
  const marks: Mark[] = notes.map((note) => {
    const look = lookOf(note.kind);
    return { look, note, at: look === 'not_stepped' ? note.step : note.step + 0.5 };
  });
  sessions.forEach((session, i) => {
    const before = sessions[i - 1];
    if (before === undefined) return;
    marks.push({
      look: session.start < before.stop ? 'rewind' : 'resume',
      at: session.start,
      session,
      before,
    });
  });
  return marks.sort((a, b) => a.at - b.at);
}

/**
 * Marks within `gapCssPx` of a cluster's first one share it. All of the run's are clustered, in view or not, so that
 * panning does not regroup them; the work grows with the marks, the result with the pixels.
 */
export function clustersOf(marks: readonly Mark[], cssPxPerStep: number, gapCssPx: number): Cluster[] {
  const clusters: Cluster[] = [];
  let first = 0;
  marks.forEach((mark, i) => {
    const start = marks[first] ?? mark;
    if ((mark.at - start.at) * cssPxPerStep < gapCssPx) return;
    clusters.push({ at: start.at, marks: marks.slice(first, i) });
    first = i;
  });
  const start = marks[first];
  if (start !== undefined) clusters.push({ at: start.at, marks: marks.slice(first) });
  return clusters;
}

/** What to draw of a cluster: its gravest note, and its gravest change of session. */
export function looksOf({ marks }: Cluster): Look[] {
  const present = new Set(marks.map((mark) => mark.look));
  return [SESSION_LOOKS, NOTE_LOOKS].flatMap((looks) =>
    looks.filter((look) => present.has(look)).slice(0, 1),
  );
}

/** The steps to show of a cluster on a click: all its marks and something around, never more than is shown now. */
export function windowAround({ marks }: Cluster, cell: number, shown: StepWindow): StepWindow {
  const [first, last] = [marks[0]?.at ?? 0, marks.at(-1)?.at ?? 0];
  const span = Math.max(1.5 * (last - first), Math.min(CELLS_AROUND * cell, shown.end - shown.start));
  return { start: (first + last - span) / 2, end: (first + last + span) / 2 };
}

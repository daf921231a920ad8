import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Note, Session } from '../src/contract.ts';
import { clustersOf, looksOf, marksOf, windowAround } from '../src/marks.ts';

function note(step: number, kind = 'skipped'): Note {
  return { step, kind, tensors: [], more: 0, values: new Map() };
}

function session(start: number, stop: number): Session {
  return { id: String(start), start, stop, wall_time: 1.7e9 };
}

const notes = fc.array(
  fc.record({
    step: fc.nat(100_000),
    kind: fc.constantFrom('skipped', 'not_stepped', 'diverged', 'omitted', 'toString', '__proto__'),
  }),
  { maxLength: 300 },
);

describe('marks', () => {
  it('tell a rewind from a resume, and the first session is neither', () => {
    const marks = marksOf([session(0, 1_200), session(1_000, 1_400), session(1_400, 1_500)], []);
    expect(marks.map(({ look, at }) => [look, at])).toEqual([
      ['rewind', 1_000],
      ['resume', 1_400],
    ]);
    expect(marksOf([session(0, 10)], [])).toEqual([]);
  });

  it('stand in the middle of their step, or at its begin if they came before it', () => {
    const found = marksOf([], [note(9, 'not_stepped'), note(5), note(5, 'new_kind'), note(4, 'toString')]);
    expect(found.map(({ look, at }) => [look, at])).toEqual([
      ['other', 4.5],
      ['skipped', 5.5],
      ['other', 5.5],
      ['not_stepped', 9],
    ]);
  });
});

describe('clusters', () => {
  it('hold each mark once, in order, far enough apart, and no more than there are pixels', () => {
    fc.assert(
      fc.property(notes, fc.double({ min: 1e-4, max: 20, noNaN: true }), (found, cssPxPerStep) => {
        const marks = marksOf(
          [session(0, 500), session(300, 900)],
          found.map(({ step, kind }) => note(step, kind)),
        );
        const clusters = clustersOf(marks, cssPxPerStep, 12);
        expect(clusters.flatMap((cluster) => cluster.marks)).toEqual(marks);
        clusters.forEach((cluster, i) => {
          expect(cluster.at).toBe(cluster.marks[0]?.at);
          const spread = (cluster.marks.at(-1)?.at ?? 0) - cluster.at;
          expect(spread * cssPxPerStep).toBeLessThan(12);
          const next = clusters[i + 1];
          if (next !== undefined)
            expect((next.at - cluster.at) * cssPxPerStep).toBeGreaterThanOrEqual(12 - 1e-9);
        });
        expect(clusters.length).toBeLessThanOrEqual((100_001 * cssPxPerStep) / 12 + 1);
      }),
      { numRuns: 60 },
    );
  });

  it('are as few as there is room for, of thousands', () => {
    const marks = marksOf(
      [],
      Array.from({ length: 20_000 }, (_, step) => note(step)),
    );
    expect(clustersOf(marks, 0.05, 12).length).toBe(84);
    expect(clustersOf([], 1, 12)).toEqual([]);
  });

  it('show their gravest note beside their gravest change of session', () => {
    const marks = marksOf(
      [session(0, 9), session(5, 20), session(20, 30)],
      [note(6, 'not_stepped'), note(7, 'omitted'), note(8, 'diverged'), note(9)],
    );
    expect(clustersOf(marks, 0.1, 12).map(looksOf)).toEqual([['rewind', 'diverged']]);
    expect(clustersOf(marks.slice(1, 3), 0.1, 12).map(looksOf)).toEqual([['not_stepped']]);
  });

  it('are zoomed into with something around, and never out of', () => {
    const marks = marksOf([], [note(100), note(200)]);
    const far = { start: 0, end: 10_000 };
    const [both] = clustersOf(marks, 0.01, 12);
    expect(windowAround(both ?? { at: 0, marks: [] }, 1, far)).toEqual({ start: 75.5, end: 225.5 });
    const [one] = clustersOf(marks, 1, 12);
    expect(windowAround(one ?? { at: 0, marks: [] }, 10, far)).toEqual({ start: 20.5, end: 180.5 });
    const near = windowAround(one ?? { at: 0, marks: [] }, 10, { start: 60, end: 140 });
    expect(near.end - near.start).toBe(80);
  });
});

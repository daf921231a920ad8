import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Note, type Session, parseNotes } from '../src/contract.ts';
import { formatMoment } from '../src/format.ts';
import { marksOf } from '../src/marks.ts';
import { sentenceOf, sentencesOf, summaryOf } from '../src/sentences.ts';

const MOMENT = new Date(2026, 10, 21, 10, 2).getTime() / 1000;

function note(changes: Partial<Note> = {}): Note {
  return { step: 120, kind: 'skipped', tensors: [], more: 0, values: new Map(), ...changes };
}

function said(changes: Partial<Note>): string | undefined {
  return marksOf([], [note(changes)]).map(sentenceOf)[0];
}

const fault = (name: string, nan = 0, pos_inf = 0, neg_inf = 0) => ({ name, nan, pos_inf, neg_inf });

describe('a note in words', () => {
  it('says what was skipped, at which loss scale, and because of what', () => {
    expect(said({})).toBe('Step 120: skipped by the GradScaler');
    expect(
      said({
        tensors: [fault('blocks.3.attn.weight', 3, 1)],
        more: 12,
        values: new Map([['loss_scale', 65_536]]),
      }),
    ).toBe(
      'Step 120: skipped by the GradScaler at loss scale 65,536. Non-finite: blocks.3.attn.weight (NaN 3, +Inf 1) ' +
        'and 12 more',
    );
    const many = Array.from({ length: 6 }, (_, i) => fault(`t${i}`, 0, 0, 1_000));
    expect(said({ tensors: many, more: 1 })).toContain('t3 (-Inf 1,000) and 3 more');
    expect(said({ more: 2 })).toBe('Step 120: skipped by the GradScaler. Non-finite: 2 tensors');
  });

  it('says what was dropped, and where ranks differ', () => {
    expect(said({ step: 88, kind: 'not_stepped', values: new Map([['norm', 3.2]]) })).toBe(
      'Step 88: gradients dropped by zero_grad without a step (norm 3.2)',
    );
    expect(said({ kind: 'not_stepped', values: new Map([['norm', Number.POSITIVE_INFINITY]]) })).toContain(
      '(norm +Inf)',
    );
    expect(said({ kind: 'diverged', tensors: [fault('a'), fault('b')], more: 3 })).toBe(
      'Step 120: copies differ between ranks: a, b and 3 more',
    );
  });

  it('says how many have no room, and shows what it does not know by its name', () => {
    expect(said({ step: 63, kind: 'omitted', values: new Map([['count', 7]]) })).toBe(
      'From step 63 on: 7 further notes found no room in the file',
    );
    expect(said({ kind: 'something_new', values: new Map([['figure', 0.5]]) })).toBe(
      'Step 120: something_new (figure 0.5)',
    );
  });

  it('is never long, whatever stands in the file', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 3_000 }),
        fc.string({ unit: 'binary', maxLength: 3_000 }),
        (kind, name) => {
          const tensors = Array.from({ length: 16 }, () => fault(name, 1, 2, 3));
          expect(said({ kind, tensors, values: new Map([[name, 1]]) })?.length).toBeLessThan(1_000);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('a session in words', () => {
  const sessions = (wall_time: number | null): Session[] => [
    { id: 'a', start: 0, stop: 1_200, wall_time: 1 },
    { id: 'b', start: 1_000, stop: 1_400, wall_time },
    { id: 'c', start: 1_400, stop: 1_500, wall_time },
  ];

  it('says how far the run went back, or that it went on', () => {
    expect(marksOf(sessions(MOMENT), []).map(sentenceOf)).toEqual([
      'Steps from 1,000 on were recorded again: the run went back from step 1,200 (session of 21 Nov, 10:02)',
      'A new session took over at step 1,400 (session of 21 Nov, 10:02)',
    ]);
  });

  it('leaves out a moment that is none', () => {
    for (const wall of [null, Number.NaN, 1e300, Number.POSITIVE_INFINITY])
      expect(marksOf(sessions(wall), []).map(sentenceOf)[1]).toBe('A new session took over at step 1,400');
    expect(formatMoment(1e12)).toMatch(/^\d+ [A-Z][a-z]{2}, \d\d:\d\d$/);
  });
});

describe('several marks', () => {
  const marks = marksOf(
    [
      { id: 'a', start: 0, stop: 50, wall_time: 1 },
      { id: 'b', start: 40, stop: 90, wall_time: 2 },
    ],
    [
      ...Array.from({ length: 12 }, (_, step) => note({ step })),
      note({ kind: 'diverged' }),
      note({ kind: 'omitted', values: new Map([['count', 7]]) }),
    ],
  );

  it('are told one by one up to a few', () => {
    expect(sentencesOf(marks.slice(0, 6)).length).toBe(6);
    expect(sentencesOf(marks).length).toBe(6);
    expect(sentencesOf(marks).at(-1)).toBe('and 10 more: click to zoom in');
  });

  it('are summed up', () => {
    expect(summaryOf(marks, true)).toBe(
      '1 divergence between ranks, 12 skipped steps, 1 rewind, 7 further notes',
    );
    expect(summaryOf(marks.slice(0, 1), false)).toBe('1 skipped step and more');
  });
});

describe('notes of another shape', () => {
  const sound = { step: 1, kind: 'skipped', tensors: [], more: 0, values: {} };
  it.each([
    [null, 'notes: expected an object'],
    [{ notes: [], complete: 'yes' }, 'notes.complete: expected true or false'],
    [{ notes: [{ ...sound, step: 2 ** 60 }], complete: true }, 'notes.notes[0].step: expected an integer'],
    [{ notes: [{ ...sound, kind: 7 }], complete: true }, 'notes.notes[0].kind: expected a string'],
    [{ notes: [{ ...sound, tensors: [{}] }], complete: true }, 'notes.notes[0].tensors[0].name'],
    [{ notes: [{ ...sound, values: { norm: '<b>' } }], complete: true }, 'notes.notes[0].values.norm'],
    [{ notes: {}, complete: true }, 'notes.notes: expected a list'],
  ])('are refused with what was expected (%j)', (reply, says) => {
    expect(() => parseNotes(reply)).toThrow(says);
  });
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  parseAlerts,
  parseCell,
  parseExponents,
  parseLines,
  parseMeta,
  parseNotes,
  parseOverview,
  parseRows,
  parseRuns,
  parseValues,
} from '../src/contract.ts';

const CONTRACT = readFileSync(join(import.meta.dirname, '../../tb_gradhealth/plugin/http_api.md'), 'utf8');

/** The example in a section of the contract. */
function example(route: string): Record<string, unknown> {
  const section = CONTRACT.split(/^## /m).find((text) => text.startsWith('`' + route)) ?? '';
  return JSON.parse(/```json\n(.*?)```/s.exec(section)?.[1] ?? '') as Record<string, unknown>;
}

describe('the examples of http_api.md', () => {
  it('are read as written', () => {
    expect(parseRuns(example('runs'))).toEqual(example('runs').runs);
    expect(parseMeta(example('meta'))).toEqual(example('meta'));
    const { notes, complete } = parseNotes(example('notes'));
    expect(notes[0]).toMatchObject({
      step: 120,
      kind: 'skipped',
      more: 12,
      tensors: [{ nan: 3, pos_inf: 1 }],
    });
    expect([notes[0]?.values.get('loss_scale'), complete]).toEqual([65_536, true]);
    const cell = parseCell(example('cell'));
    expect(cell).toMatchObject({ node: 2, steps: [40, 50], first_bad: null });
    expect(cell.metrics.get('norm')).toMatchObject({ mean: 0.5, worst_node: 2, worst_steps: [40, 50] });
    expect(cell.counts.get('near_zero')).toBe(3);
  });

  it('are read as written for the figures, the overview and the alerts', () => {
    expect(parseValues(example('values'))).toEqual(example('values'));
    expect(parseLines(example('lines'))).toEqual(example('lines'));
    expect(parseOverview(example('overview'))).toEqual(example('overview'));
    expect(parseAlerts(example('alerts'))).toEqual(example('alerts'));
    const histogram = example('exponents').histogram as Record<string, unknown>;
    const { counts, ...rest } = parseExponents(example('exponents')) ?? {};
    expect({ ...rest, counts: Object.fromEntries(counts ?? []) }).toEqual(histogram);
    expect(parseExponents({ histogram: null })).toBeNull();
    const { rows, complete } = parseRows(example('rows'));
    expect([rows.length, complete]).toEqual([1, true]);
    expect(rows[0]).toMatchObject({ steps: [40, 50], recorded: 10, with_data: 10, first_bad: null });
    expect(rows[0]?.counts.get('nan')).toBe(0);
    expect(rows[0]?.metrics.get('norm')).toEqual({ mean: 0.5, min: 0.4, max: 0.7 });
    expect(rows[0]?.logged.get('loss')).toEqual({ mean: 2.5, min: 2.4, max: 2.6 });
  });

  it('have lines and an overview with as many figures as cells', () => {
    expect(() => parseLines({ ...example('lines'), edges: [0, 10] })).toThrow('lines: expected 1 entries');
    expect(() => parseOverview({ ...example('overview'), skipped: [0] })).toThrow(
      'overview: expected 2 entries',
    );
  });
});

describe('a reply of another shape', () => {
  it('is refused with what was expected, where, and what came', () => {
    expect(() => parseRuns({ runs: [{ name: 7 }] })).toThrow('runs.runs[0].name: expected a string, got 7');
    expect(() => parseRuns(null)).toThrow('runs: expected an object, got null');
    expect(() => parseRuns([])).toThrow('runs: expected an object, got []');
    expect(() => parseMeta({ ...example('meta'), steps: [9, 3] })).toThrow(
      'meta.steps: expected two rising integers',
    );
    expect(() => parseMeta({ ...example('meta'), cell: 0 })).toThrow('expected cell and levels of 1 or more');
    expect(() => parseMeta({ ...example('meta'), metrics: [{ name: 'x' }] })).toThrow(
      'meta.metrics[0].label',
    );
  });

  it('is refused when the columns over the nodes differ in length', () => {
    const meta = example('meta');
    const nodes = { ...(meta.nodes as object), parent: [-1] };
    expect(() => parseMeta({ ...meta, nodes })).toThrow('meta.nodes.parent: expected 3 entries');
  });

  it('may hold fields that this front end does not know', () => {
    expect(parseMeta({ ...example('meta'), alerts: [] })).toEqual(example('meta'));
  });
});

describe('figures', () => {
  const withMean = (mean: unknown) => {
    const cell = example('cell');
    const metrics = cell.metrics as Record<string, object>;
    return parseCell({ ...cell, metrics: { norm: { ...metrics.norm, mean } } }).metrics.get('norm')?.mean;
  };
  it('may be missing or not finite', () => {
    expect([null, 'NaN', 'Infinity', '-Infinity', 0].map(withMean)).toEqual([
      null,
      NaN,
      Infinity,
      -Infinity,
      0,
    ]);
    expect(() => withMean('7')).toThrow('cell.metrics.norm.mean: expected a number, null');
  });
});

import { type FakeRun, planted } from './fake_run.ts';

/** Edges of at most `most` equal cells of whole rows over the steps [begin, end). */
export function edgesOf(run: FakeRun, begin: number, end: number, most: number): number[] {
  let width = run.cell;
  while (Math.ceil(end / width) - Math.floor(begin / width) > most) width *= 2;
  const first = Math.floor(begin / width);
  const cells = Math.ceil(end / width) - first;
  return Array.from({ length: cells + 1 }, (_, i) => (first + i) * width);
}

/** Pairs of neighbouring edges. */
export function cellsOf(edges: readonly number[]): [number, number][] {
  return edges.slice(1).map((end, i) => [edges[i] ?? 0, end]);
}

/** NaN has no place in JSON; in figures it is a cell without data. */
export function figure(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

export function flagsIn(run: FakeRun, name: string, from: number, to: number): number {
  return planted(run, name, from, to).reduce((all, { flags }) => all | flags, 0);
}

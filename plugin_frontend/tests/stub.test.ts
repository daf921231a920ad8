import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handle } from '../dev/stub.ts';
import { Api } from '../src/api.ts';

const RUN = 'exp1/gradhealth';
const LAYER = { run: RUN, stream: 'gradients', metric: 'norm', view: 'max' };

let server: Server;
let api: Api;

beforeAll(async () => {
  server = createServer((request, response) => {
    handle(request, response, () => response.writeHead(404).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  api = new Api(new URL(`http://127.0.0.1:${port}/data/plugin/gradhealth/`));
});
afterAll(() => {
  server.close();
});

describe('the demo without Python', () => {
  it('answers every route that the tab asks, in the form of the contract', async () => {
    const runs = await api.runs();
    expect(runs.map(({ name }) => name)).toContain(RUN);
    const { nodes, steps } = await api.meta(RUN);
    expect((await api.tiles(LAYER, [{ level: 0, r: 0, c: 0 }])).length).toBe(1);
    expect((await api.cell(RUN, 'gradients', 0, 0, 3)).steps).toEqual([30, 40]);
    expect((await api.notes(RUN, 'gradients', 0, 1_000)).notes.length).toBe(1);
    expect((await api.values(LAYER, 0, 100)).values.length).toBe(nodes.name.length);

    const { edges, lines } = await api.lines(LAYER, [0, 2], 0, steps[1], 50);
    expect([lines.map(({ node }) => node), edges[0]]).toEqual([[0, 2], 0]);
    expect(edges.length).toBeLessThanOrEqual(51);
    const { rows } = await api.rows(RUN, 'gradients', 2, 40, 60);
    expect(rows.map((row) => row.steps)).toEqual([
      [40, 50],
      [50, 60],
    ]);
    const overview = await api.overview(RUN, 0, 2_000, 100);
    expect(overview.series.map(({ kind }) => kind)).toEqual(['norm', 'loss', 'rate']);
    expect(overview.skipped.reduce((sum, count) => sum + count, 0)).toBe(2);
  });

  it('finds in its alerts what is planted, each at a tensor that has it', async () => {
    const { nodes } = await api.meta(RUN);
    const { alerts } = await api.alerts(RUN, 'gradients');
    expect(alerts.map(({ kind }) => kind)).toEqual(['nan', 'pos_inf', 'neg_inf', 'no_gradient', 'spike']);
    for (const { node, steps, kind } of alerts) {
      expect(nodes.kind[node]).toBe('tensor');
      const { rows } = await api.rows(RUN, 'gradients', node, ...steps);
      if (kind === 'nan') expect(rows[0]?.first_bad).toBe(7_777);
    }
  });

  it('has a diagnosis of its runs, of which each finding is at its node where that has a row', async () => {
    const { nodes } = await api.meta(RUN);
    const { findings, recorded } = await api.findings(RUN);
    expect([recorded, findings.length]).toEqual([true, 6]);
    for (const { node, name } of findings)
      if (node !== null) expect(nodes.name[node]).toBe(name);
      else expect(nodes.name).not.toContain(name);
    expect((await api.findings('<b>bold</b>/gradhealth')).recorded).toBe(false);
  });

  it('writes the view as a table', async () => {
    const text = await (await fetch(api.csvUrl(LAYER, [2, 0], 0, 100, 5))).text();
    const lines = text.trimEnd().split('\r\n');
    expect(lines[0]).toBe('node,begin,end,value,flags');
    expect(lines.length).toBe(1 + 2 * 5);
    expect(lines[6]).toMatch(/^"",0,20,[0-9.e-]+,0$/);
  });
});

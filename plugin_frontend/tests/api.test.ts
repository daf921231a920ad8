import { describe, expect, it } from 'vitest';
import { Api, Refused, Unreachable } from '../src/api.ts';
import { bodyOf, emptyTile } from './support/encode.ts';

function apiWith(reply: () => Response | Promise<Response>) {
  const urls: string[] = [];
  const api = new Api(new URL('http://host/prefix/data/plugin/gradhealth/'), (url) => {
    urls.push(url.href);
    return Promise.resolve().then(reply);
  });
  return { api, urls };
}

describe('requests', () => {
  it('go below the base and carry names of any kind', async () => {
    const { api, urls } = apiWith(() => Response.json({ runs: [] }));
    await api.runs();
    await api.meta('a b&run=c/../d#‮').catch(() => null);
    expect(urls[0]).toBe('http://host/prefix/data/plugin/gradhealth/runs');
    const meta = new URL(urls[1] ?? '');
    expect(meta.pathname).toBe('/prefix/data/plugin/gradhealth/meta');
    expect([...meta.searchParams]).toEqual([['run', 'a b&run=c/../d#‮']]);
  });

  it('name tiles as level.row.column', async () => {
    const places = [
      { level: 2, r: 0, c: 1 },
      { level: 0, r: 12, c: 3 },
    ];
    const { api, urls } = apiWith(() => new Response(bodyOf(...places.map(emptyTile))));
    const tiles = await api.tiles({ run: 'r', stream: 's', metric: 'm', view: 'max' }, places);
    expect(new URL(urls[0] ?? '').searchParams.get('ids')).toBe('2.0.1,0.12.3');
    expect(tiles).toMatchObject(places);
  });
});

describe('failures', () => {
  it('are a refusal when the plugin itself says no', async () => {
    const { api } = apiWith(() => Response.json({ error: 'expected a run, got x' }, { status: 404 }));
    const error = await api.meta('x').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Refused);
    expect(error).toMatchObject({ status: 404, message: 'expected a run, got x' });
  });

  it('are an outage when nobody, or somebody else, answers', async () => {
    for (const reply of [
      () => Promise.reject(new TypeError('Failed to fetch')),
      () => new Response('<h1>Bad gateway</h1>', { status: 502 }),
      () => new Response('{"runs": [', { status: 200 }),
      () => Response.json({ detail: 'not ours' }, { status: 404 }),
    ])
      await expect(apiWith(reply).api.runs()).rejects.toBeInstanceOf(Unreachable);
  });
});

// @vitest-environment happy-dom
import { describe, expect, it, vi } from 'vitest';
import { Chunk } from '../src/chunk.ts';

const parts = { styles: '.late { color: red }' };
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe('a part of the bundle', () => {
  it('is loaded once, however often it is asked for', async () => {
    const load = vi.fn(() => Promise.resolve(parts));
    const chunk = new Chunk(load);
    expect(chunk.loaded.value).toBeNull();
    expect(load).not.toHaveBeenCalled();
    const sheets = document.adoptedStyleSheets.length;
    chunk.ask();
    chunk.ask();
    await settled();
    chunk.ask();
    await settled();
    expect(load).toHaveBeenCalledTimes(1);
    expect(chunk.loaded.value).toBe(parts);
    expect(document.adoptedStyleSheets.length).toBe(sheets + 1);
  });

  it('tells that it failed, and comes when it is asked for again', async () => {
    let gone = true;
    const chunk = new Chunk(() => (gone ? Promise.reject(new Error('gone')) : Promise.resolve(parts)));
    chunk.ask();
    await settled();
    expect([chunk.loaded.value, chunk.failed.value]).toEqual([null, true]);
    gone = false;
    chunk.ask();
    await settled();
    expect([chunk.loaded.value, chunk.failed.value]).toEqual([parts, false]);
  });
});

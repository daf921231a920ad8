// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { describe, expect, it } from 'vitest';
import type { Note } from '../src/contract.ts';
import type { Store } from '../src/store.ts';
import { Strip } from '../src/strip.tsx';
import { host } from './support/host.ts';
import { storeOf } from './support/page.ts';

const HOSTILE = '<img src=x onerror="window.pwned=1"></bdi><script>window.pwned=1</script>';

function note(step: number, changes: Partial<Note> = {}): Note {
  return { step, kind: 'skipped', tensors: [], more: 0, values: new Map(), ...changes };
}

async function show(notes: readonly Note[]): Promise<Store> {
  const store = storeOf();
  store.notes.value = { notes: [...notes], complete: true };
  await act(() => {
    render(<Strip store={store} />, host);
  });
  return store;
}

const marks = () => [...host.querySelectorAll<HTMLButtonElement>('[data-testid=mark]')];
const tooltip = () => host.querySelector('[data-testid=strip-tooltip]');

describe('the strip', () => {
  it('has a summary in words, a mark where something happened, and one stop for the Tab key', async () => {
    await show([note(500), note(505), note(2_500, { kind: 'diverged' })]);
    expect(host.querySelector('[data-testid=strip]')?.getAttribute('aria-label')).toBe(
      '1 divergence between ranks, 2 skipped steps',
    );
    expect(marks().map((mark) => [mark.dataset.looks, mark.tabIndex])).toEqual([
      ['skipped', 0],
      ['diverged', -1],
    ]);
    expect(marks()[1]?.getAttribute('aria-label')).toBe('Step 2,500: copies differ between ranks');
  });

  it('tells what happened under the pointer, as text whatever the names are', async () => {
    await show([note(500, { kind: 'x', tensors: [{ name: HOSTILE, nan: 1, pos_inf: 0, neg_inf: 0 }] })]);
    expect(tooltip()).toBeNull();
    await act(() => {
      marks()[0]?.dispatchEvent(new PointerEvent('pointerenter'));
    });
    expect(tooltip()?.textContent).toContain('<img src=x');
    expect(host.querySelector('img, script')).toBeNull();
    expect('pwned' in window).toBe(false);
    await act(() => {
      marks()[0]?.dispatchEvent(new PointerEvent('pointerleave'));
    });
    expect(tooltip()).toBeNull();
  });

  it('zooms to a mark on a click, and moves the focus with the arrows', async () => {
    const store = await show([note(500), note(2_500), note(4_000)]);
    marks()[0]?.focus();
    for (const [key, at] of [
      ['ArrowRight', 1],
      ['End', 2],
      ['ArrowLeft', 1],
      ['Home', 0],
    ] as const) {
      await act(() => {
        document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
      });
      expect(document.activeElement).toBe(marks()[at]);
    }
    await act(() => {
      marks()[1]?.click();
    });
    expect(store.window.value).toEqual({ start: 2_420.5, end: 2_580.5 });
  });
});

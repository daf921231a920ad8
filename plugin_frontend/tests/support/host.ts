import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach } from 'vitest';

/** Where a view is rendered: a new one in the document for each test of a file that imports it. */
export let host: HTMLElement;

beforeEach(() => {
  host = document.createElement('div');
  document.body.append(host);
});
afterEach(() => {
  render(null, host);
  host.remove();
});

export function part(id: string): HTMLElement | null {
  return host.querySelector<HTMLElement>(`[data-testid=${id}]`);
}

/** Answers that are there have come, and are shown. */
export function settled(): Promise<void> {
  return act(() => new Promise<void>((resolve) => setTimeout(resolve, 0)));
}

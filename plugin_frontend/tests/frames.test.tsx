// @vitest-environment happy-dom
import { signal } from '@preact/signals';
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Alerts } from '../src/alerts/alerts.ts';
import { AlertMarks } from '../src/alerts/marks_view.tsx';
import { Minimap } from '../src/minimap.tsx';
import { Pointing } from '../src/pointing.ts';
import type { Theme } from '../src/theme.ts';
import { host } from './support/host.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { metaOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

let asked = 0;

beforeEach(() => {
  const context = new Proxy({}, { get: () => () => undefined, set: () => true });
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(context as CanvasRenderingContext2D);
  vi.stubGlobal('requestAnimationFrame', () => ++asked);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('what is drawn above and below the cells', () => {
  it('asks for one frame, however often the view changes until it comes', async () => {
    const store = storeOf(metaOf(), { heightDevicePx: 180 });
    const alerts = new Alerts({ read: () => 'closed', write: () => undefined }, () => 800);
    const about = { run: 'exp1/gradhealth', stream: 'gradients', tree: foundIn, revision: 1, complete: true };
    alerts.receive({ ...about, alerts: [alertOf({ node: 1 })] });
    const views = {
      marks: <AlertMarks store={store} pointing={new Pointing(store)} alerts={alerts} />,
      minimap: <Minimap store={store} theme={signal<Theme>('light')} />,
    };
    for (const [name, view] of Object.entries(views)) {
      await act(() => {
        render(view, host);
      });
      asked = 0;
      // The frame that was asked for when the view came has not come yet, so no other is needed.
      for (let height = 100; height < 110; height++)
        store.size.value = { widthDevicePx: 1_000, heightDevicePx: height, devicePixelRatio: 1 };
      expect([name, asked]).toEqual([name, 0]);
    }
  });
});

// @vitest-environment happy-dom
import { render } from 'preact';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Brush } from '../src/brush.tsx';
import { Alerts } from '../src/alerts/alerts.ts';
import { listenForJumps } from '../src/alerts/visit.ts';
import { Drill } from '../src/drill/drill.ts';
import { Gestures } from '../src/gestures.ts';
import { Help } from '../src/help.tsx';
import { HELP, MINIMAP_KEYS, TREE_KEYS } from '../src/help_lines.ts';
import { CURSOR_KEYS, HEATMAP_KEYS, PAGE_KEYS } from '../src/keys.ts';
import { later } from '../src/late.tsx';
import { Navigation } from '../src/navigation.ts';
import { Pointing } from '../src/pointing.ts';
import { Ranking } from '../src/ranking.ts';
import { TreeView } from '../src/tree.tsx';
import { TreeTools } from '../src/tree_tools.tsx';
import { host } from './support/host.ts';
import { alertOf, foundIn } from './support/alert.ts';
import { metaOf } from './support/meta.ts';
import { storeOf } from './support/page.ts';

let detach: () => void = () => undefined;

afterEach(() => {
  detach();
});

/** A canvas of 1000 × 180 pixels over 5,000 steps in cells of 10. */
function openPage() {
  const store = storeOf(metaOf(), { heightDevicePx: 180 });
  const pointing = new Pointing(store);
  const navigation = new Navigation(store, pointing);
  navigation.start();
  const canvas = document.createElement('canvas');
  canvas.tabIndex = 0;
  Object.defineProperties(canvas, { clientWidth: { value: 1_000 }, clientHeight: { value: 180 } });
  canvas.setPointerCapture = () => undefined;
  host.append(canvas);
  detach = new Gestures(canvas, store, pointing, navigation, new Drill(store)).attach();
  const pointer = (type: string, x: number, y: number, more: PointerEventInit = {}) => {
    const event = new PointerEvent(`pointer${type}`, {
      pointerId: 1,
      pointerType: 'mouse',
      button: 0,
      ...more,
    });
    Object.defineProperties(event, { offsetX: { value: x }, offsetY: { value: y } });
    canvas.dispatchEvent(event);
  };
  return { store, navigation, pointing, canvas, pointer };
}

/** Whether somebody took the key. */
function pressed(target: EventTarget, key: string, more: KeyboardEventInit = {}): boolean {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more });
  target.dispatchEvent(event);
  return event.defaultPrevented;
}

/** As a keyboard would send it. */
function keyNames(table: Readonly<Record<string, { keys: readonly string[] }>>): string[] {
  const names = ['ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'PageUp', 'PageDown', 'Home', 'End'];
  const all = [...names, 'Escape', 'Backspace', 'Enter'];
  return Object.values(table).flatMap(({ keys }) =>
    keys.map((key) => all.find((name) => name.toLowerCase() === key) ?? key),
  );
}

const drag = (page: ReturnType<typeof openPage>, from: [number, number], to: [number, number], more = {}) => {
  page.pointer('down', ...from, more);
  page.pointer('move', ...to, more);
  page.pointer('up', ...to, more);
};

describe('the mouse', () => {
  it('draws a box, whose steps are shown when it is let go', () => {
    const page = openPage();
    page.pointer('down', 600, 30);
    page.pointer('move', 201, 100);
    expect(page.navigation.box.value).toEqual({ x: 201, y: 30, width: 399, height: 70 });
    expect(page.store.window.value).toBeNull();
    page.pointer('up', 201, 100);
    expect([page.navigation.box.value, page.store.window.value]).toEqual([
      null,
      { start: 1_000, end: 3_000 },
    ]);
    expect(page.store.activeKey.value).toBe('module:a');
    expect(page.store.cursor.value).toBeNull();
  });

  it('draws no box where it says no steps, beyond the canvas, or after Escape', () => {
    const page = openPage();
    drag(page, [500, 10], [501, 150]);
    expect([page.store.window.value, page.store.cursor.value]).toEqual([null, null]);
    page.pointer('down', 500, 10);
    page.pointer('move', 5_000, -300);
    expect(page.navigation.box.value).toEqual({ x: 500, y: 0, width: 500, height: 10 });
    expect(pressed(page.canvas, 'Escape')).toBe(true);
    page.pointer('up', 5_000, -300);
    expect([page.navigation.box.value, page.store.window.value]).toEqual([null, null]);
  });

  it('pans with Shift or the middle button, in zoom alone', () => {
    for (const more of [{ shiftKey: true }, { button: 1 }]) {
      const page = openPage();
      drag(page, [500, 10], [400, 10], more);
      expect(page.store.window.value).toBeNull();
      page.store.zoomTo({ start: 1_000, end: 2_000 });
      drag(page, [500, 10], [400, 10], more);
      expect(page.store.window.value).toEqual({ start: 1_100, end: 2_100 });
      detach();
    }
  });

  it('chooses a cell by a click, and the whole run by two', () => {
    const page = openPage();
    drag(page, [501, 30], [502, 31]);
    expect(page.store.cursor.value).toEqual({ key: 'module:a', step: 2_510 });
    page.store.zoomTo({ start: 1_000, end: 2_000 });
    page.canvas.dispatchEvent(new MouseEvent('dblclick'));
    expect(page.store.window.value).toBeNull();
  });

  it('zooms by the wheel with Ctrl or Alt around the pointer, and leaves the plain wheel to the rows', () => {
    const page = openPage();
    page.pointer('move', 250, 10);
    const wheel = (more: WheelEventInit) => {
      const event = new WheelEvent('wheel', { deltaY: -100, cancelable: true, ...more });
      // The browser at hand does not take modifiers from the dictionary of a wheel event.
      for (const [name, value] of Object.entries(more)) Object.defineProperty(event, name, { value });
      page.canvas.dispatchEvent(event);
      return event.defaultPrevented;
    };
    expect([wheel({}), page.store.window.value]).toEqual([false, null]);
    for (const more of [{ ctrlKey: true }, { altKey: true }]) {
      page.navigation.showAll();
      expect(wheel(more)).toBe(true);
      const { start = 0, end = 0 } = page.store.window.value ?? {};
      expect(end - start).toBeCloseTo(5_000 * Math.exp(-0.3), 6);
      expect((1_250 - start) / (end - start)).toBeCloseTo(0.25, 6);
    }
  });
});

describe('fingers', () => {
  const touch = (pointerId: number) => ({ pointerId, pointerType: 'touch' });

  it('pan with one and zoom with two, which is no click', () => {
    const page = openPage();
    page.store.zoomTo({ start: 1_000, end: 2_000 });
    drag(page, [500, 10], [400, 10], touch(1));
    expect(page.store.window.value).toEqual({ start: 1_100, end: 2_100 });
    page.pointer('down', 400, 10, touch(1));
    page.pointer('down', 600, 20, touch(2));
    page.pointer('move', 200, 10, touch(1));
    page.pointer('move', 800, 20, touch(2));
    const { start = 0, end = 0 } = page.store.window.value ?? {};
    expect([start, end].map(Math.round)).toEqual([1_433, 1_767]);
    page.pointer('up', 800, 20, touch(2));
    page.pointer('up', 200, 10, touch(1));
    expect([page.store.cursor.value, page.store.pointer.value]).toEqual([null, null]);
    drag(page, [500, 10], [500, 10], touch(3));
    expect(page.store.cursor.value).not.toBeNull();
  });
});

describe('fingers that come and go', () => {
  const touch = (pointerId: number) => ({ pointerId, pointerType: 'touch' });
  const zoomed = () => {
    const page = openPage();
    page.store.zoomTo({ start: 1_000, end: 2_000 });
    return page;
  };

  it('go on panning with the one that is left, whichever of the two that is, and choose no cell', () => {
    for (const [first, second] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const page = zoomed();
      page.pointer('down', 300, 10, touch(first));
      page.pointer('down', 700, 10, touch(second));
      page.pointer('up', 700, 10, touch(second));
      page.pointer('move', 200, 12, touch(first));
      expect(page.store.window.value).toEqual({ start: 1_100, end: 2_100 });
      page.pointer('up', 200, 12, touch(first));
      page.pointer('move', 100, 12, touch(first));
      expect(page.store.window.value).toEqual({ start: 1_100, end: 2_100 });
      expect([page.store.cursor.value, page.store.pointer.value]).toEqual([null, null]);
      detach();
    }
  });

  it('keep the steps that they hold under them, also while they move together or wait for each other', () => {
    const page = zoomed();
    page.pointer('down', 300, 10, touch(1));
    page.pointer('down', 700, 10, touch(2));
    page.pointer('move', 100, 10, touch(1));
    page.pointer('move', 500, 10, touch(2));
    const { start = 0, end = 0 } = page.store.window.value ?? {};
    const stepAt = (x: number) => start + ((end - start) * x) / 1_000;
    expect([stepAt(100), stepAt(500)].map(Math.round)).toEqual([1_300, 1_700]);
    page.pointer('move', 490, 80, touch(1));
    expect(page.store.window.value).toEqual({ start, end });
  });

  it('leave the scrolling of rows to the browser, which takes the finger away', () => {
    const page = zoomed();
    page.pointer('down', 300, 10, touch(1));
    page.pointer('cancel', 300, 60, touch(1));
    page.pointer('move', 200, 90, touch(1));
    expect([page.store.window.value, page.store.cursor.value]).toEqual([{ start: 1_000, end: 2_000 }, null]);
    // What was taken away is no second finger of the next one.
    page.pointer('down', 500, 10, touch(2));
    page.pointer('move', 400, 10, touch(2));
    page.pointer('up', 400, 10, touch(2));
    expect(page.store.window.value).toEqual({ start: 1_100, end: 2_100 });
  });
});

/** The dialog comes with the late parts of the page; its listener with the next frame. */
async function helpIsHere(): Promise<void> {
  later.ask();
  const isHere = () => {
    expect(host.querySelector('dialog.help')).not.toBeNull();
  };
  await vi.waitFor(isHere, 20_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('keys', () => {
  it('of the heatmap move through the steps, with the focus nowhere as well', () => {
    const page = openPage();
    const { store } = page;
    const width = () => (store.window.value?.end ?? 5_000) - (store.window.value?.start ?? 0);
    expect([pressed(document.body, 'w'), width()]).toEqual([true, 3_500]);
    expect([pressed(page.canvas, '+'), Math.round(width())]).toEqual([true, 2_450]);
    const middle = store.window.value;
    expect(pressed(page.canvas, 'd')).toBe(true);
    expect((store.window.value?.start ?? 0) - (middle?.start ?? 0)).toBeCloseTo(490, 6);
    pressed(page.canvas, 'A');
    expect(store.window.value?.start).toBeCloseTo(middle?.start ?? 0, 6);
    pressed(page.canvas, 's');
    expect(Math.round(width())).toBe(3_500);
    pressed(page.canvas, 'Backspace');
    expect(store.window.value).toBeNull();
  });

  it('in the help are exactly those that are handled', async () => {
    const page = openPage();
    for (const key of [...keyNames(HEATMAP_KEYS), ...keyNames(CURSOR_KEYS)])
      expect([key, pressed(page.canvas, key)]).toEqual([key, true]);
    for (const key of ['x', 'F5', 'Tab', 'Delete', '.', ',']) expect(pressed(page.canvas, key)).toBe(false);
    expect(pressed(page.canvas, 'w', { ctrlKey: true })).toBe(false);
    detach();

    render(<TreeView store={page.store} pointing={page.pointing} />, host);
    const tree = host.querySelector('[role=tree]') ?? host;
    for (const key of keyNames(TREE_KEYS)) expect([key, pressed(tree, key)]).toEqual([key, true]);
    for (const key of ['Delete', 'F5']) expect(pressed(tree, key)).toBe(false);

    page.store.zoomTo({ start: 1_000, end: 2_000 });
    render(<Brush store={page.store} />, host);
    for (const grip of host.querySelectorAll('[role=slider]')) {
      for (const key of keyNames(MINIMAP_KEYS)) expect([key, pressed(grip, key)]).toEqual([key, true]);
      expect(pressed(grip, 'Enter')).toBe(false);
    }

    const values = () => new Promise<never>(() => undefined);
    const ranking = new Ranking({ values }, page.store, () => undefined);
    const tools = host.appendChild(document.createElement('div'));
    render(<Help />, host);
    await helpIsHere();
    const dialog = host.querySelector('dialog');
    const alerts = new Alerts({ read: () => 'closed', write: () => undefined }, () => 800);
    const run = { run: 'exp1/gradhealth', stream: 'gradients', tree: foundIn, revision: 1, complete: true };
    alerts.receive({ ...run, alerts: [alertOf({ node: 1 })] });
    const stopJumps = listenForJumps(page.store, page.pointing, alerts);
    render(<TreeTools store={page.store} pointing={page.pointing} ranking={ranking} />, tools);
    await vi.waitFor(() => {
      expect(pressed(document.body, '/')).toBe(true);
    });
    (document.activeElement as HTMLElement).blur();
    for (const key of ['.', ',', '/', '?']) expect([key, pressed(document.body, key)]).toEqual([key, true]);
    expect(keyNames(PAGE_KEYS).toSorted()).toEqual([',', '.', '/', '?']);
    render(null, tools);
    stopJumps();
    await vi.waitFor(() => {
      expect(dialog?.open).toBe(true);
    });
    const lines = HELP.flatMap(({ shortcuts }) => shortcuts);
    expect(dialog?.querySelectorAll('dt').length).toBe(lines.length);
    for (const table of [HEATMAP_KEYS, CURSOR_KEYS, PAGE_KEYS, TREE_KEYS, MINIMAP_KEYS])
      for (const line of Object.values(table)) expect(lines).toContain(line);
  });

  it('mean one thing each in one place', () => {
    const keys = [...keyNames(HEATMAP_KEYS), ...keyNames(CURSOR_KEYS), ...keyNames(PAGE_KEYS)];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('change nothing behind a dialog', async () => {
    const { store, pointing } = openPage();
    render([<Help key="h" />, <dialog key="d" class="dialog" />], host);
    await helpIsHere();
    const alerts = new Alerts({ read: () => 'closed', write: () => undefined }, () => 800);
    const run = { run: 'exp1/gradhealth', stream: 'gradients', tree: foundIn, revision: 1, complete: true };
    alerts.receive({ ...run, alerts: [alertOf({ node: 1 })] });
    const stopJumps = listenForJumps(store, pointing, alerts);
    const dialog = host.querySelector<HTMLDialogElement>('.dialog');
    dialog?.showModal();
    for (const key of ['.', ',', '?', 'w']) expect([key, pressed(document.body, key)]).toEqual([key, false]);
    expect(store.cursor.value).toBeNull();
    expect(host.querySelector<HTMLDialogElement>('.help')?.open).toBe(false);
    dialog?.close();
    expect(pressed(document.body, '.')).toBe(true);
    expect(store.cursor.value).not.toBeNull();
    stopJumps();
  });

  it('leave a question mark to who types it', async () => {
    render([<input key="i" type="search" />, <Help key="h" />], host);
    await helpIsHere();
    expect(pressed(host.querySelector('input') ?? host, '?')).toBe(false);
    expect(host.querySelector('dialog')?.open).toBe(false);
  });
});

describe('the sliders of the minimap', () => {
  it('tell the steps in view, and move them', async () => {
    const { store } = openPage();
    store.zoomTo({ start: 1_000, end: 2_000 });
    render(<Brush store={store} />, host);
    const told = () =>
      [...host.querySelectorAll('[role=slider]')].map((grip) => grip.getAttribute('aria-valuetext'));
    expect(told()).toEqual(['steps 1,000–1,999', 'step 1,000', 'step 1,999']);
    const [, , end] = host.querySelectorAll('[role=slider]');
    pressed(end ?? host, 'ArrowRight');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(store.window.value).toEqual({ start: 1_000, end: 2_050 });
    expect(told()).toEqual(['steps 1,000–2,049', 'step 1,000', 'step 2,049']);
  });
});

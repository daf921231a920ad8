// @vitest-environment happy-dom
import { render } from 'preact';
import { describe, expect, it } from 'vitest';
import { openAll, openTop } from '../src/model.ts';
import { Pointing } from '../src/pointing.ts';
import { Ranking } from '../src/ranking.ts';
import { TreeView } from '../src/tree.tsx';
import { TreeButtons } from '../src/tree_head.tsx';
import { TreeTools } from '../src/tree_tools.tsx';
import { host } from './support/host.ts';
import { metaOf } from './support/meta.ts';
import { modelOf } from './support/models.ts';
import { storeOf } from './support/page.ts';

const TENSORS = [
  'embed.weight',
  'blocks.0.attn.qkv.weight',
  'blocks.0.attn.qkv.bias',
  'blocks.0.mlp.fc1.weight',
  'blocks.1.attn.qkv.weight',
  'blocks.1.mlp.fc1.weight',
  'blocks.1.mlp.fc1.bias',
  'head.weight',
];
const { nodes } = modelOf(TENSORS.map((name) => ({ name })));
const VALUES = nodes.name.map((name) => (name.startsWith('head') ? 9 : `${name}.`.includes('.1.') ? 5 : 1));

const rendered = () => new Promise((resolve) => setTimeout(resolve, 20));

function showPage() {
  const store = storeOf(metaOf({ nodes }), { heightDevicePx: 720 });
  if (store.tree.value !== null) store.setOpen(openTop(store.tree.value));
  store.pictured.value = true;
  const pointing = new Pointing(store);
  const ranking = new Ranking(
    { values: () => Promise.resolve({ steps: [0, 5_000], values: VALUES }) },
    store,
    () => undefined,
  );
  const stop = ranking.start();
  render(
    <>
      <TreeTools store={store} pointing={pointing} ranking={ranking} />
      <TreeButtons store={store} />
      <TreeView store={store} pointing={pointing} />
    </>,
    host,
  );
  return { store, stop };
}

const part = (id: string) => host.querySelector<HTMLElement>(`[data-testid="${id}"]`);
const items = () => [...host.querySelectorAll<HTMLElement>('[role=treeitem]')];
const texts = () => items().map((item) => item.querySelector('.name')?.textContent ?? '');
const item = (name: string) => items().find((one) => one.title === name);
const active = () => host.querySelector<HTMLElement>('[role=treeitem][tabindex="0"]')?.title;

async function click(element: HTMLElement | null | undefined, keys: MouseEventInit = {}): Promise<void> {
  element?.dispatchEvent(new MouseEvent('click', { bubbles: true, ...keys }));
  await rendered();
}
async function type(text: string): Promise<void> {
  const field = part('filter') as HTMLInputElement;
  field.value = text;
  field.dispatchEvent(new Event('input', { bubbles: true }));
  await rendered();
}
async function press(key: string, on: Element | null = host.querySelector('[role=treeitem][tabindex="0"]')) {
  const shiftKey = key.startsWith('Shift+');
  on?.dispatchEvent(
    new KeyboardEvent('keydown', { key: key.replace('Shift+', ''), shiftKey, bubbles: true }),
  );
  await rendered();
}

describe('the filter', () => {
  it('leaves matches and their ancestors, says how many, and Escape brings all back as it was folded', async () => {
    showPage();
    const before = texts();
    expect(before).toEqual(['All tensors', 'embed', 'blocks', 'head']);
    await type('bias');
    expect(texts()).toEqual(['All tensors', 'blocks', '0', 'attn', 'qkv', 'bias', '1', 'mlp', 'fc1', 'bias']);
    expect(items().map((one) => one.classList.contains('around'))).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i !== 5 && i !== 9),
    );
    expect(part('filter-count')?.textContent).toBe('2 of 8');
    expect(item('blocks.0')?.getAttribute('aria-setsize')).toBe('2');
    expect(item('blocks')?.getAttribute('aria-setsize')).toBe('1');
    await click(item('blocks.0'));
    expect(texts()).toEqual(['All tensors', 'blocks', '0', '1', 'mlp', 'fc1', 'bias']);
    await press('Escape', part('filter'));
    expect([texts(), part('filter-count')?.textContent]).toEqual([before, '']);
  });

  it('by kind, together with words, and offers the kinds that occur', async () => {
    showPage();
    const chip = (kind: string) => host.querySelector<HTMLButtonElement>(`[data-kind=${kind}]`);
    expect(['weight', 'norm', 'embedding'].map((kind) => chip(kind)?.disabled)).toEqual([false, true, false]);
    await click(chip('attention'));
    await click(chip('bias'));
    expect(texts().at(-1)).toBe('bias');
    expect([part('filter-count')?.textContent, chip('bias')?.getAttribute('aria-pressed')]).toEqual([
      '1 of 8',
      'true',
    ]);
    await type('blocks.1');
    expect([texts(), part('filter-count')?.textContent]).toEqual([['All tensors'], '0 of 8']);
  });

  it('says under the field what is wrong with an expression, and filters nothing', async () => {
    showPage();
    await type('/(/');
    expect(part('filter-problem')?.textContent).toMatch(/Unterminated group/i);
    expect([part('filter')?.getAttribute('aria-invalid'), texts().length]).toEqual(['true', 4]);
    await type('head');
    expect([part('filter-problem')?.textContent, part('filter')?.getAttribute('aria-invalid')]).toEqual([
      '',
      'false',
    ]);
  });

  it('is entered by a slash and left for the tree by Enter', async () => {
    showPage();
    await rendered();
    await press('/', document.body);
    expect(document.activeElement).toBe(part('filter'));
    await press('Enter', part('filter'));
    expect((document.activeElement as HTMLElement).title).toBe('All tensors');
  });
});

describe('the order', () => {
  it('by the worst keeps a tree, whose places a screen reader hears; a flat list has paths', async () => {
    const { store, stop } = showPage();
    if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
    const select = part('order') as HTMLSelectElement;
    select.value = 'worst';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    await rendered();
    expect(texts().slice(0, 4)).toEqual(['All tensors', 'head', 'weight', 'embed']);
    expect(item('blocks.1')?.getAttribute('aria-posinset')).toBe('1');
    expect(item('blocks.1')?.querySelector('.figure')?.textContent).toBe('5');
    await click(part('flat'));
    expect(items().length).toBe(TENSORS.length);
    expect(items()[0]?.textContent).toBe('head.weight9');
    expect(items().map((one) => one.getAttribute('aria-level'))).toEqual(TENSORS.map(() => '1'));
    expect(items()[0]?.hasAttribute('aria-expanded')).toBe(false);
    stop();
  });
});

describe('an order by a metric that the run lacks', () => {
  it('is told beside the order, which still names the metric', async () => {
    const { store, stop } = showPage();
    store.order.value = { by: 'metric', metric: 'gone' };
    await rendered();
    expect(part('ranked')?.textContent).toBe('model order: this run lacks the metric');
    expect((part('order') as HTMLSelectElement).selectedOptions[0]?.textContent).toBe(
      'gone, not in this run',
    );
    store.order.value = { by: 'model' };
    await rendered();
    expect(part('ranked')?.textContent).toBe('');
    stop();
  });
});

describe('branches', () => {
  it('are unfolded and folded entirely by Shift or Alt and a click, and by Shift and an arrow', async () => {
    showPage();
    await click(item('blocks'), { shiftKey: true });
    expect(items().length).toBe(4 + 2 + 7 + 7);
    await click(item('blocks'), { altKey: true });
    await click(item('blocks'));
    expect(items().length).toBe(6);
    await press('Shift+ArrowLeft');
    expect(items().length).toBe(4);
    await press('Shift+ArrowRight');
    expect(items().length).toBe(20);
  });

  it('are folded and unfolded by a level', async () => {
    showPage();
    expect(part('depth')?.textContent).toBe('Level 1 of 5');
    await click(part('depth-more'));
    expect(texts()).toEqual(['All tensors', 'embed', 'weight', 'blocks', '0', '1', 'head', 'weight']);
    await click(part('depth-more'));
    expect(part('depth')?.textContent).toBe('Level 3 of 5');
    await click(part('depth-less'));
    expect(part('depth')?.textContent).toBe('Level 2 of 5');
  });
});

describe('the path', () => {
  const crumbs = () =>
    [...host.querySelectorAll<HTMLElement>('[data-testid=crumb]')].map((crumb) => crumb.textContent);
  const crumb = (i: number) => host.querySelectorAll<HTMLElement>('[data-testid=crumb]')[i];

  it('is that of the active row; its parts lead up, also out of a focused module', async () => {
    const { store } = showPage();
    store.activeKey.value = 'module:blocks.1.mlp';
    if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
    await rendered();
    expect(crumbs()).toEqual(['All tensors', 'blocks', '1', 'mlp']);
    await click(part('focus'));
    expect(texts()).toEqual(['blocks.1.mlp', 'fc1', 'weight', 'bias']);
    expect(item('blocks.1.mlp')?.getAttribute('aria-level')).toBe('1');
    await press('ArrowDown');
    expect(crumbs()).toEqual(['All tensors', 'blocks', '1', 'mlp', 'fc1']);
    await click(crumb(2));
    expect([texts()[0], active()]).toEqual(['blocks.1', 'blocks.1']);
    await click(crumb(0));
    expect([texts()[0], active()]).toEqual(['All tensors', 'All tensors']);
  });

  it('is focused by Shift and F in the tree, and left by the same', async () => {
    const { store } = showPage();
    store.activeKey.value = 'module:blocks';
    await rendered();
    await press('Shift+F');
    expect(texts()).toEqual(['blocks', '0', '1']);
    await press('Shift+F');
    expect(texts()[0]).toBe('All tensors');
  });
});

describe('typing', () => {
  it('goes to the next row whose name begins so, and around', async () => {
    const { store } = showPage();
    if (store.tree.value !== null) store.setOpen(openAll(store.tree.value));
    await rendered();
    await press('b');
    expect(active()).toBe('blocks');
    await press('b');
    expect(active()).toBe('blocks.0.attn.qkv.bias');
    await new Promise((resolve) => setTimeout(resolve, 750));
    await press('f');
    await press('c');
    expect(active()).toBe('blocks.0.mlp.fc1');
    await new Promise((resolve) => setTimeout(resolve, 750));
    await press('h');
    await new Promise((resolve) => setTimeout(resolve, 750));
    await press('e');
    expect(active()).toBe('embed');
  });
});

describe('revealing a node', () => {
  it('undoes what hides it, and nothing else', () => {
    const { store } = showPage();
    const node = nodes.name.indexOf('blocks.0.attn.qkv.bias');
    store.filter.value = { text: 'qkv', kinds: [] };
    store.outline.reveal(node);
    expect([store.filter.value.text, store.nodes.value.includes(node)]).toEqual(['qkv', true]);
    store.rootKey.value = 'module:head';
    store.filter.value = { text: 'weight', kinds: [] };
    store.outline.reveal(node);
    expect([store.filter.value.text, store.rootKey.value, store.nodes.value.includes(node)]).toEqual([
      '',
      null,
      true,
    ]);
    store.order.value = { by: 'worst', flat: true };
    store.outline.reveal(node);
    expect(store.order.value.flat).toBe(true);
    store.outline.reveal(nodes.name.indexOf('blocks.1'));
    expect(store.order.value).toEqual({ by: 'worst' });
  });
});

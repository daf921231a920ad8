import type { Nodes } from '../../src/contract.ts';

/** The nodes of a model's tensors, breadth first as the contract says, siblings in the order in which they came. */
export function modelOf(tensors: readonly { name: string; shape?: readonly number[] }[]): { nodes: Nodes } {
  const depth = (name: string) => (name === '' ? 0 : name.split('.').length);
  const names = new Map<string, readonly number[] | null>([['', null]]);
  for (const { name, shape = [4, 4] } of tensors) {
    const parts = name.split('.');
    for (let i = 1; i < parts.length; i++) names.set(parts.slice(0, i).join('.'), null);
    names.set(name, shape);
  }
  const sorted = [...names].sort(([a], [b]) => depth(a) - depth(b));
  const index = new Map(sorted.map(([name], i) => [name, i]));
  const above = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('.')));
  return {
    nodes: {
      name: sorted.map(([name]) => name),
      kind: sorted.map(([, shape], i) => (i === 0 ? 'total' : shape === null ? 'module' : 'tensor')),
      parent: sorted.map(([name], i) => (i === 0 ? -1 : (index.get(above(name)) ?? 0))),
      shape: sorted.map(([, shape]) => (shape === null ? null : [...shape])),
      dtype: sorted.map(([, shape]) => (shape === null ? null : 'float32')),
      size: sorted.map(() => 16),
      aliases: sorted.map(() => []),
    },
  };
}

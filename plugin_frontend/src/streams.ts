import type { Meta } from './contract.ts';
import { type Open, type Tree, openFirstLook } from './model.ts';

/**
 * The metric to show of another stream than before, where `left` was the one shown when it was left last. What a stream
 * has and the one before has not is what people look at it for, so that comes first; else the metric stays.
 */
export function metricAfter(
  before: Meta,
  next: Meta,
  shown: string | undefined,
  left: string | undefined,
): string | null {
  const names = next.metrics.map(({ name }) => name);
  const own = names.filter((name) => !before.metrics.some((metric) => metric.name === name));
  const last = left ?? own[0];
  const isLast = (name: string) => name === last;
  return own.find(isLast) ?? names.find((name) => name === shown) ?? names.find(isLast) ?? names[0] ?? null;
}

/** What is unfolded in another tree: modules of the same name as before, those that are new as at first. */
export function openAfter(open: Open, met: Iterable<Tree>, tree: Tree): Open {
  const known = new Set([...met].flatMap(({ keys }) => keys));
  const fresh = [...openFirstLook(tree)].filter((key) => !known.has(key));
  return fresh.length === 0 ? open : new Set([...open, ...fresh]);
}

import type { Spot } from '../alerts/kinds.ts';
import type { Finding } from '../contract.ts';
import type { Tree } from '../model.ts';

/** Where a finding is marked and gone to. An alert of the same id is something else. */
export function spotOf(finding: Finding, tree: Tree): Spot {
  const { severity, text } = finding;
  const [first, end] = finding.steps;
  const steps = [first, Math.max(end, first + 1)] as const;
  return { id: idOf(finding), severity, node: nodeOf(finding, tree), steps, text };
}

export function idOf({ id }: Finding): string {
  return `finding ${id}`;
}

/**
 * The node that a finding is about. What has no row of its own, such as a module without parameters, is found at the
 * nearest module around it that has one, and in the last resort at the whole model.
 */
export function nodeOf({ name, node }: Finding, tree: Tree): number {
  if (node !== null && node >= 0 && node < tree.size) return node;
  for (let path = name; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('.')))) {
    const found = tree.names.indexOf(path);
    if (found >= 0) return found;
  }
  return 0;
}

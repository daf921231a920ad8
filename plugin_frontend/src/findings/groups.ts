import type { Finding } from '../contract.ts';

/** A finding that stands for itself, and those that it explains. */
export interface Group {
  readonly root: Finding;
  readonly followers: readonly Finding[];
}

/**
 * Findings, worst first, in groups. One that follows from a rule stands below the first finding of that rule that
 * follows from nothing, and for itself where there is none. A group has the place of its worst finding, so nothing
 * grave is missed for being explained by something that is less so.
 */
export function groupsOf(findings: readonly Finding[]): readonly Group[] {
  const roots = new Map<string, Finding>();
  for (const finding of findings)
    if (finding.follows === '' && !roots.has(finding.rule)) roots.set(finding.rule, finding);
  const groups = new Map<Finding, Finding[]>();
  for (const finding of findings) {
    const root = roots.get(finding.follows) ?? finding;
    const followers = groups.get(root) ?? [];
    groups.set(root, followers);
    if (root !== finding) followers.push(finding);
  }
  return Array.from(groups, ([root, followers]) => ({ root, followers }));
}

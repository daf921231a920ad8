/** Metrics under what the contract lists them under: groups and what is in them in the order in which they came. */
export function byGroup<T extends { readonly group: string }>(metrics: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const metric of metrics) {
    const known = groups.get(metric.group);
    if (known === undefined) groups.set(metric.group, [metric]);
    else known.push(metric);
  }
  return groups;
}

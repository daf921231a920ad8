/** More patterns than this make no command that anybody reads: then all nodes are exported. */
const MOST_NODES = 30;

export interface Wanted {
  readonly run: string;
  readonly stream: string;
  readonly metric: string;
  /** Full names, "" for the whole stream; null for all nodes. */
  readonly nodes: readonly string[] | null;
  /** Steps [first, end). */
  readonly steps: readonly [number, number];
}

/** A word that a POSIX shell reads as exactly this text, whatever is in it; a shell has no way to pass a NUL. */
export function quoted(text: string): string {
  if (/^[A-Za-z0-9_./:,=+-]+$/u.test(text)) return text;
  return `'${text.replaceAll('\0', '').replaceAll("'", `'\\''`)}'`;
}

/** The command that writes what the heatmap shows; the directory is a variable, for the page is not told of it. */
export function exportCommand({ run, stream, metric, nodes, steps }: Wanted): string {
  const some = nodes !== null && nodes.length <= MOST_NODES ? nodes : [];
  const words = [
    'gradhealth export',
    `"$LOGDIR"/${quoted(run)}`,
    `--stream=${quoted(stream)}`,
    `--metric=${quoted(metric)}`,
    ...some.map((node) => `--nodes=${quoted(node)}`),
    `--steps=${steps[0]}:${steps[1]}`,
    '--format=csv',
  ];
  return words.join(' ');
}

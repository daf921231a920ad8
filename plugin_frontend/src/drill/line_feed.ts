import { type ReadonlySignal, computed, effect, signal } from '@preact/signals';
import type { Api, Layer } from '../api.ts';
import type { Line } from '../contract.ts';
import { Latest } from '../latest.ts';
import { stepsInView } from '../scales.ts';
import type { Store } from '../store.ts';
import type { Drill } from './drill.ts';

/** As many as the backend gives at once. */
const MOST_CELLS = 2_048;

/** Lines as they came, with what they are lines of. */
export interface KnownLines {
  readonly run: string;
  readonly stream: string;
  readonly metric: string;
  readonly edges: readonly number[];
  readonly byKey: ReadonlyMap<string, Line>;
}

/** The chart's lines over the steps in view, while the panel is open and can be seen. */
export class LineFeed {
  readonly known = signal<KnownLines | null>(null);

  constructor(
    private readonly api: Pick<Api, 'lines'>,
    private readonly store: Store,
    private readonly drill: Drill,
    private readonly visible: ReadonlySignal<boolean>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** The lines of what the heatmap shows now; those of the steps before stay until better ones have come. */
  readonly lines = computed(() => {
    const [known, layer] = [this.known.value, this.drill.subject.value.layer.value];
    const same = known?.run === layer?.run && known?.stream === layer?.stream;
    return same && known?.metric === layer?.metric ? known : null;
  });

  start(): () => void {
    const latest = new Latest<KnownLines>((lines) => (this.known.value = lines), this.failed);
    const stop = effect(() => {
      const question = this.question.value;
      if (question === null || !this.visible.value || this.store.connection.value === 'gone') latest.pause();
      else latest.ask(JSON.stringify(question), (signal) => this.fetch(question, signal));
    });
    return () => {
      stop();
      latest.pause();
    };
  }

  private readonly question = computed(() => {
    const { scale, size } = this.store;
    const { layer, meta } = this.drill.subject.value;
    if (!this.drill.open.value || layer.value === null || scale.value === null || meta.value === null)
      return null;
    const [begin, end] = stepsInView(scale.value, meta.value);
    const lines = this.drill.shown.value.flatMap(({ key, node }) => (node === null ? [] : [{ key, node }]));
    if (lines.length === 0 || begin >= end) return null;
    const cells = Math.max(
      1,
      Math.min(MOST_CELLS, Math.floor(size.value.widthDevicePx / size.value.devicePixelRatio)),
    );
    return { layer: layer.value, lines, begin, end, cells, revision: meta.value.revision };
  });

  private async fetch(
    { layer, lines, begin, end, cells }: Question,
    signal: AbortSignal,
  ): Promise<KnownLines> {
    const nodes = lines.map(({ node }) => node);
    const answer = await this.api.lines(layer, nodes, begin, end, cells, signal);
    const keys = new Map(lines.map(({ key, node }) => [node, key]));
    const byKey = new Map(answer.lines.map((line) => [keys.get(line.node) ?? '', line]));
    return { run: layer.run, stream: layer.stream, metric: layer.metric, edges: answer.edges, byKey };
  }
}

interface Question {
  readonly layer: Layer;
  readonly lines: readonly { key: string; node: number }[];
  readonly begin: number;
  readonly end: number;
  readonly cells: number;
}

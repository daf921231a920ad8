import { type ReadonlySignal, computed, effect, signal } from '@preact/signals';
import type { Api } from '../api.ts';
import type { Histogram } from '../contract.ts';
import { Latest } from '../latest.ts';
import type { Store } from '../store.ts';
import type { Drill } from './drill.ts';

export interface KnownHistogram {
  readonly run: string;
  readonly stream: string;
  readonly key: string;
  /** The step that it was asked for. */
  readonly step: number;
  readonly histogram: Histogram | null;
}

/** The histogram of exponents at the cursor's step, while it is shown and can be seen. */
export class ExponentFeed {
  private readonly known = signal<KnownHistogram | null>(null);

  constructor(
    private readonly api: Pick<Api, 'exponents'>,
    private readonly store: Store,
    private readonly drill: Drill,
    private readonly visible: ReadonlySignal<boolean>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** That of the cursor's node; the one of another step, which it tells, stays until the next one has come. */
  readonly shown = computed(() => {
    const [known, question] = [this.known.value, this.question.value];
    const same = known?.run === question?.run && known?.stream === question?.stream;
    return same && known?.key === question?.key ? known : null;
  });

  start(): () => void {
    const latest = new Latest<KnownHistogram>((found) => (this.known.value = found), this.failed);
    const stop = effect(() => {
      const question = this.question.value;
      if (question === null || !this.visible.value || this.store.connection.value === 'gone') latest.pause();
      else
        latest.ask(JSON.stringify(question), async (signal) => {
          const { run, stream, node, key, step } = question;
          const histogram = await this.api.exponents(run, stream, node, step, step + 1, signal);
          return { run, stream, key, step, histogram };
        });
    });
    return () => {
      stop();
      latest.pause();
    };
  }

  private readonly question = computed(() => {
    const { layer: shown, meta } = this.drill.subject.value;
    const [layer, cell, place] = [shown.value, this.drill.cell.value, this.store.cursor.value];
    if (!this.drill.open.value || this.drill.picture.value !== 'exponents') return null;
    if (layer === null || cell === null || place === null) return null;
    // Beside another run, the cell may begin or end within what the cursor is on.
    const step = Math.min(cell.steps[1] - 1, Math.max(cell.steps[0], Math.floor(place.step)));
    const { key, node } = cell;
    return { run: layer.run, stream: layer.stream, node, key, step, revision: meta.value?.revision };
  });
}

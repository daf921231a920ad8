import { type ReadonlySignal, computed, effect, signal } from '@preact/signals';
import type { Api } from '../api.ts';
import type { Overview } from '../contract.ts';
import { Latest } from '../latest.ts';
import { stepsInView } from '../scales.ts';
import type { Store } from '../store.ts';

/** As many as the backend gives at once. */
const MOST_CELLS = 2_048;

interface Known {
  readonly run: string;
  readonly overview: Overview;
}

/** What belongs to the whole training over the steps in view, while it is unfolded and can be seen. */
export class OverviewFeed {
  readonly open = signal(true);
  private readonly known = signal<Known | null>(null);

  constructor(
    private readonly api: Pick<Api, 'overview'>,
    private readonly store: Store,
    private readonly visible: ReadonlySignal<boolean>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** That of the run in view, or null before it has come; the one of the steps before stays until then. */
  readonly overview = computed(() => {
    const known = this.known.value;
    return known !== null && known.run === this.store.meta.value?.run ? known.overview : null;
  });

  start(): () => void {
    const latest = new Latest<Known>((known) => (this.known.value = known), this.failed);
    const stop = effect(() => {
      const question = this.question.value;
      if (question === null || !this.visible.value || this.store.connection.value === 'gone') latest.pause();
      else
        latest.ask(JSON.stringify(question), async (signal) => {
          const { run, begin, end, cells } = question;
          return { run, overview: await this.api.overview(run, begin, end, cells, signal) };
        });
    });
    return () => {
      stop();
      latest.pause();
    };
  }

  private readonly question = computed(() => {
    const [meta, scale, grid] = [this.store.meta.value, this.store.scale.value, this.store.grid.value];
    if (!this.open.value || !this.store.pictured.value || meta === null || scale === null || grid === null)
      return null;
    const [begin, end] = stepsInView(scale, grid);
    if (begin >= end) return null;
    const { widthDevicePx, devicePixelRatio } = this.store.size.value;
    const cells = Math.max(1, Math.min(MOST_CELLS, Math.floor(widthDevicePx / devicePixelRatio)));
    return { run: meta.run, begin, end, cells, revision: meta.revision };
  });
}

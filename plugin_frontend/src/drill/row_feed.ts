import { type ReadonlySignal, computed, effect, signal } from '@preact/signals';
import type { Api } from '../api.ts';
import type { Rows } from '../contract.ts';
import { Latest } from '../latest.ts';
import type { Store } from '../store.ts';
import type { CursorCell, Drill } from './drill.ts';

export interface KnownRows {
  readonly run: string;
  readonly stream: string;
  readonly cell: CursorCell;
  readonly rows: Rows;
}

/** The finest rows of the cursor's cell, while the panel is open and can be seen. */
export class RowFeed {
  private readonly known = signal<KnownRows | null>(null);

  constructor(
    private readonly api: Pick<Api, 'rows'>,
    private readonly store: Store,
    private readonly drill: Drill,
    private readonly visible: ReadonlySignal<boolean>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** The rows of the cell where the cursor is now, or null while they are on their way. */
  readonly rows = computed(() => {
    const [known, question] = [this.known.value, this.question.value];
    const same = known?.run === question?.run && known?.stream === question?.stream;
    return same && known !== null && nameOf(known.cell) === nameOf(question?.cell ?? null) ? known : null;
  });

  start(): () => void {
    const latest = new Latest<KnownRows>((rows) => (this.known.value = rows), this.failed);
    const stop = effect(() => {
      const question = this.question.value;
      if (question === null || !this.visible.value || this.store.connection.value === 'gone') latest.pause();
      else
        latest.ask(JSON.stringify(question), async (signal) => {
          const { run, stream, cell } = question;
          return {
            run,
            stream,
            cell,
            rows: await this.api.rows(run, stream, cell.node, ...cell.steps, signal),
          };
        });
    });
    return () => {
      stop();
      latest.pause();
    };
  }

  private readonly question = computed(() => {
    const { layer: shown, meta } = this.drill.subject.value;
    const [layer, cell] = [shown.value, this.drill.cell.value];
    if (!this.drill.open.value || layer === null || cell === null) return null;
    return { run: layer.run, stream: layer.stream, cell, revision: meta.value?.revision };
  });
}

function nameOf(cell: CursorCell | null): string {
  return cell === null ? '' : [cell.key, ...cell.steps].join('\n');
}

import { effect } from '@preact/signals';
import type { Api } from './api.ts';
import type { Meta, Note, Notes } from './contract.ts';
import type { Store } from './store.ts';

/** Pages fetched of a run at most; a run with more notes than these hold says so. */
const MOST_PAGES = 10;

/** Keeps the run's notes up to date: each new revision of the run is asked for them. */
export class NoteFeed {
  private latest = 0;

  constructor(
    private readonly api: Pick<Api, 'notes'>,
    private readonly store: Store,
    private readonly failed: (error: unknown) => void,
  ) {}

  start(): void {
    effect(() => {
      const meta = this.store.meta.value;
      const number = ++this.latest;
      if (meta !== null) void this.load(meta, number);
    });
  }

  private async load(meta: Meta, number: number): Promise<void> {
    try {
      const notes = await this.pages(meta);
      if (number === this.latest) this.store.notes.value = notes;
    } catch (error) {
      if (number === this.latest) this.failed(error);
    }
  }

  /** A note may stand at the end of the run as well, before the step that never came. */
  private async pages({ run, streams, steps: [first, end] }: Meta): Promise<Notes> {
    const lead = streams[0]?.name;
    const notes: Note[] = [];
    let begin = first;
    for (let page = 0; lead !== undefined && page < MOST_PAGES; page++) {
      const found = await this.api.notes(run, lead, begin, end + 1);
      const last = found.notes.at(-1)?.step ?? begin;
      if (found.complete) return { notes: [...notes, ...found.notes], complete: true };
      // The last step may have more notes than have come, unless it is the only one: then there is no way on.
      if (last <= begin) break;
      notes.push(...found.notes.filter((note) => note.step < last));
      begin = last;
    }
    return { notes, complete: lead === undefined };
  }
}

import { effect } from '@preact/signals';
import { type Api, Refused, Unreachable } from './api.ts';
import type { Meta, Run } from './contract.ts';
import { wantTiles } from './painter.ts';
import type { Store } from './store.ts';

const POLL_MS = 5_000;
const BACK_NOTICE_MS = 4_000;

/** Keeps the store up to date while somebody can see it, and tells when TensorBoard goes away and comes back. */
export class Live {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private polling = false;
  private loading: string | null = null;
  /** After an outage the server may be another process, whose revisions mean something else. */
  private distrusted = false;
  /** What is likely to be asked for first, under way beside the list of runs. */
  private ahead: { readonly run: string | null; readonly meta: Promise<Meta | null> } | null = null;

  constructor(
    private readonly store: Store,
    private readonly api: Api,
    private readonly isVisible: () => boolean,
  ) {}

  start(): void {
    const [run, stream] = [this.store.runName.peek(), this.store.streamName.peek()];
    // A failure is told by what is asked for again.
    if (this.isVisible()) this.ahead = { run, meta: this.api.meta(run, stream).catch(() => null) };
    effect(() => {
      const run = this.store.run.value;
      const stream = this.store.streamName.value;
      if (run !== null) void this.loadMeta(run, stream);
    });
    void this.poll();
  }

  /** To be called when the page may have come into sight: a hidden page has stopped polling. */
  wake(): void {
    if (this.timer === undefined) void this.poll();
  }

  async poll(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.polling || !this.isVisible()) return;
    this.polling = true;
    try {
      const runs = await this.api.runs();
      this.answered();
      this.store.receiveRuns(runs);
      this.store.tiles.resume();
    } catch (error) {
      this.failed(error);
    } finally {
      this.polling = false;
      this.timer = setTimeout(() => void this.poll(), POLL_MS);
    }
  }

  /** Takes note of a failed request, whoever sent it. */
  failed(error: unknown): void {
    if (error instanceof Unreachable) this.store.connection.value = 'gone';
    else if (!(error instanceof DOMException)) this.store.refusal.value = messageOf(error);
  }

  private answered(): void {
    if (this.store.connection.peek() !== 'gone') return;
    this.store.connection.value = 'back';
    this.distrusted = true;
    setTimeout(() => {
      if (this.store.connection.peek() === 'back') this.store.connection.value = 'ok';
    }, BACK_NOTICE_MS);
  }

  private async loadMeta(run: Run, stream: string | null): Promise<void> {
    const meta = this.store.meta.peek();
    const shown = meta?.run === run.name && meta.stream === this.store.nextStream.peek()?.name;
    const current = shown && meta.revision === run.revision && !this.distrusted;
    const question = JSON.stringify([run.name, stream]);
    if (run.status !== 'ok' || current || this.loading === question) return;
    this.loading = question;
    try {
      this.store.receiveMeta(await this.metaOf(run.name, stream));
      // The page takes as long to be made as its tiles take to come.
      wantTiles(this.store);
      if (this.distrusted) this.refetch(run.name);
    } catch (error) {
      const wanted = run.name === this.store.runName.peek() && stream === this.store.streamName.peek();
      if (error instanceof Unreachable || wanted) this.failed(error);
    } finally {
      if (this.loading === question) this.loading = null;
    }
  }

  private async metaOf(run: string, stream: string | null): Promise<Meta> {
    const ahead = this.ahead?.run === null || this.ahead?.run === run ? await this.ahead.meta : null;
    this.ahead = null;
    const wanted = ahead?.run === run && (stream === null || stream === ahead.stream);
    return wanted ? ahead : this.api.meta(run, stream);
  }

  private refetch(run: string): void {
    this.distrusted = false;
    const grid = this.store.grid.peek();
    if (grid !== null) this.store.tiles.invalidate(run, grid, Number.NEGATIVE_INFINITY);
    this.store.tilesArrived.value++;
  }
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof Refused ? message : `The front end could not read TensorBoard's answer. ${message}`;
}

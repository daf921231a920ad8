import { effect } from '@preact/signals';
import { SEARCHED_CHARACTERS } from './filter.ts';
import type { Answer, Question } from './regex_worker.ts';
import type { Store } from './store.ts';

/** Longer than any reasonable expression takes for 10,000 names; one that backtracks without end would never come back. */
const PATIENCE_MS = 500;

/** The part of a Worker that is used here. */
export interface Searcher {
  onmessage: ((event: MessageEvent<Answer>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(question: Question): void;
  terminate(): void;
}

/** Finds what a filter's regular expression matches, in a worker that is ended when it takes too long. */
export class RegexSearch {
  private worker: Searcher | null = null;
  private loaded = false;
  private busy = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** What the worker has. */
  private names: readonly string[] | null = null;

  constructor(
    private readonly store: Store,
    private readonly makeWorker: () => Searcher = () =>
      new Worker(new URL('./regex_worker.ts', import.meta.url), { type: 'module' }),
  ) {}

  start(): () => void {
    return effect(() => {
      const [query, tree] = [this.store.outline.query.value, this.store.tree.value];
      if (this.busy) this.end();
      if (query.kind === 'regex' && tree !== null) this.search(query.source, query.flags, tree.names);
    });
  }

  private search(source: string, flags: string, names: readonly string[]): void {
    const answer = (matched: Uint8Array | null, problem: string | null) => {
      if (problem !== null) this.end();
      clearTimeout(this.timer);
      this.busy = false;
      this.store.outline.found.value = { names, matched, problem };
    };
    const beginCounting = () => {
      this.timer = setTimeout(() => {
        answer(
          null,
          `Stopped after ${PATIENCE_MS / 1000} s: this expression takes too long. Try a simpler one.`,
        );
      }, PATIENCE_MS);
    };
    try {
      const worker = this.worker ?? this.makeWorker();
      this.worker = worker;
      worker.onmessage = ({ data }) => {
        if (data !== null) answer(data, null);
        else beginCounting();
        this.loaded = true;
      };
      worker.onerror = () => {
        answer(
          null,
          'Regular expressions cannot be searched here, as the browser runs no worker. Words can.',
        );
      };
      const news = names === this.names ? null : names.map((name) => name.slice(0, SEARCHED_CHARACTERS));
      worker.postMessage({ names: news, source, flags });
      [this.names, this.busy] = [names, true];
      if (this.loaded) beginCounting();
    } catch (error) {
      answer(null, `This expression cannot be searched: ${String(error)}`);
    }
  }

  private end(): void {
    clearTimeout(this.timer);
    this.worker?.terminate();
    [this.worker, this.names, this.loaded, this.busy] = [null, null, false, false];
  }
}

/** A question that changes faster than this is asked once it has come to rest. */
const REST_MS = 120;

/**
 * One question at a time to the backend: a newer one aborts it, and the same one is not asked twice. The first in a
 * while goes out at once.
 */
export class Latest<T> {
  private key: string | null = null;
  private changedAt = Number.NEGATIVE_INFINITY;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private waiting: AbortController | null = null;

  constructor(
    private readonly take: (answer: T) => void,
    private readonly failed: (error: unknown) => void,
  ) {}

  ask(key: string, fetch: (signal: AbortSignal) => Promise<T>): void {
    if (key === this.key) return;
    this.pause();
    this.key = key;
    const own = new AbortController();
    this.waiting = own;
    const now = performance.now();
    if (now - this.changedAt >= REST_MS) void this.send(fetch, own);
    else this.timer = setTimeout(() => void this.send(fetch, own), REST_MS);
    this.changedAt = now;
  }

  /** Takes back a question that has no answer yet; what is answered need not be asked again. */
  pause(): void {
    clearTimeout(this.timer);
    if (this.waiting === null) return;
    this.waiting.abort();
    this.waiting = null;
    this.key = null;
  }

  private async send(fetch: (signal: AbortSignal) => Promise<T>, own: AbortController): Promise<void> {
    try {
      const answer = await fetch(own.signal);
      if (own.signal.aborted) return;
      this.waiting = null;
      this.take(answer);
    } catch (error) {
      if (own.signal.aborted) return;
      this.waiting = null;
      this.key = null;
      this.failed(error);
    }
  }
}

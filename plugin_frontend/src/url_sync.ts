import { batch, effect, signal } from '@preact/signals';
import type { Store } from './store.ts';
import { type Field, runField, streamField } from './url_fields.ts';
import { type Parts, partsOf, sameParts, withParts } from './url_state.ts';

/** Between two looks at a state that changes. Browsers take about a hundred changes of the URL in half a minute. */
const LOOK_MS = 200;

/** The URL that people see and copy. */
export interface Address {
  readonly href: string;
  readonly hash: string;
  replaceHash(hash: string): void;
  /** Tells when somebody else has changed the fragment. */
  watch(changed: () => void): void;
}

/** TensorBoard's address, or our own where the page stands alone or TensorBoard's is not ours to read. */
export function addressOf(own: Window): Address {
  const host = readable(own.parent) ? own.parent : own;
  return {
    get href() {
      return host.location.href;
    },
    get hash() {
      return host.location.hash;
    },
    replaceHash: (hash) => {
      const url = new URL(host.location.href);
      url.hash = hash;
      host.history.replaceState(host.history.state, '', url.href);
    },
    watch: (changed) => {
      host.addEventListener('hashchange', changed);
      own.addEventListener('pagehide', () => {
        host.removeEventListener('hashchange', changed);
      });
    },
  };
}

function readable(window: Window): boolean {
  try {
    return typeof window.location.hash === 'string';
  } catch {
    return false;
  }
}

/**
 * Keeps the URL's fragment and the page's state the same. The state replaces the present entry of the browser's
 * history and never adds one: Back leaves the tab, as in the rest of TensorBoard, and a link that is put into the
 * address bar is followed without a reload.
 */
export class UrlSync {
  /** What a URL asks for and the page cannot show yet. Meanwhile the URL is left alone. */
  private readonly asked = signal<Parts | null>(null);
  /** What the URL was when last looked at: only what differs from it is somebody's wish. */
  private seen: Parts = new Map();
  private readonly run: Field;
  private readonly stream: Field;

  constructor(
    private readonly store: Store,
    private readonly address: Address,
    private readonly fields: readonly Field[],
    private readonly isVisible: () => boolean,
  ) {
    this.run = runField(store);
    this.stream = streamField(store);
  }

  /** To be called before the first run is chosen by itself. */
  start(): void {
    this.heed();
    effect(() => {
      const parts = this.asked.value;
      if (parts !== null) this.answer(parts);
    });
    this.address.watch(() => {
      this.heed();
      this.write();
    });
    this.follow();
  }

  /** The address of what is shown now. */
  link(): string {
    const url = new URL(this.address.href);
    url.hash = withParts(url.hash, this.present());
    return url.href;
  }

  /** Writes the state where the URL lacks it: after a change, or where another tab has dropped it. */
  write(present: Parts = this.present()): void {
    if (this.asked.peek() !== null || !this.isVisible() || present.size === 0) return;
    if (!sameParts(present, partsOf(this.address.hash)))
      this.address.replaceHash(withParts(this.address.hash, present));
    this.seen = present;
  }

  /** Takes up what the URL asks for. Without any parameter it asks for nothing. */
  private heed(): void {
    const parts = partsOf(this.address.hash);
    if (parts.size === 0 || sameParts(this.seen, parts)) return;
    this.seen = parts;
    batch(() => {
      for (const field of [this.run, this.stream]) field.write(parts.get(field.key) ?? null);
    });
    this.asked.value = parts;
  }

  /** Shows what was asked for as soon as there is a picture, unless somebody has turned to another run. */
  private answer(parts: Parts): void {
    const {
      meta: { value: meta },
      runName: { value: runName },
      stream,
      nextStream,
    } = this.store;
    const wanted = parts.get(this.run.key) ?? runName;
    if (runName !== wanted) this.asked.value = null;
    else if (
      meta?.run === runName &&
      stream.value === nextStream.value &&
      this.store.size.value.widthDevicePx > 0
    )
      batch(() => {
        this.asked.value = null;
        for (const field of this.fields) field.write(parts.get(field.key) ?? null);
      });
  }

  private present(): Parts {
    return new Map(
      [this.run, this.stream, ...this.fields].flatMap((field) => {
        const text = field.read();
        return text === null ? [] : [[field.key, text]];
      }),
    );
  }

  /** Writes, and again once what has changed has come to rest: a change of the URL costs as much as half a frame. */
  private follow(): void {
    let written = false;
    const stop = effect(() => {
      // From here on the effect depends on nothing, so nothing is computed between the looks, however much changes.
      if (written) {
        this.awaitRest(null, () => {
          stop();
          this.follow();
        });
        return;
      }
      written = true;
      const [asked, present] = [this.asked.value, this.present()];
      if (asked === null) this.write(present);
    });
  }

  /** Calls `then` once two looks have found the same. */
  private awaitRest(before: Parts | null, then: () => void): void {
    setTimeout(() => {
      const present = this.present();
      if (before !== null && sameParts(before, present)) then();
      else this.awaitRest(present, then);
    }, LOOK_MS);
  }
}

import { type Signal, signal } from '@preact/signals';
import { adopt } from './styles.ts';

/** A file of the bundle that is loaded when it is asked for, with the styles of its views. */
export class Chunk<T extends { readonly styles: string }> {
  readonly loaded: Signal<T | null> = signal(null);
  /** The server was gone, or is a newer one that no longer has this file. */
  readonly failed = signal(false);
  private loading = false;

  constructor(private readonly load: () => Promise<T>) {}

  /** Loads it unless it is here or on its way; after a failure, once more. */
  ask(): void {
    if (this.loading || this.loaded.peek() !== null) return;
    this.loading = true;
    this.load().then(
      (parts) => {
        adopt(parts.styles);
        this.failed.value = false;
        this.loaded.value = parts;
      },
      () => {
        this.loading = false;
        this.failed.value = true;
      },
    );
  }
}

import { signal } from '@preact/signals';
import type { Api } from './api.ts';
import type { CellFigures } from './contract.ts';
import type { Pointed } from './pointing.ts';
import type { Store } from './store.ts';

const CAPACITY = 500;

/** A pointer that crosses cells on its way asks for none of them. */
const DEBOUNCE_MS = 120;

/** The exact figures behind the cell that is pointed at; they come a moment after the pointer has come to rest. */
export class Figures {
  /** By cell and revision; a signal, so that a tooltip shows them when they come. */
  readonly known = signal<ReadonlyMap<string, CellFigures>>(new Map());
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Api,
    private readonly store: Store,
  ) {}

  of(pointed: Pointed): CellFigures | null {
    return this.known.value.get(this.keyOf(pointed)) ?? null;
  }

  ask(pointed: Pointed | null): void {
    clearTimeout(this.timer);
    const layer = this.store.layer.peek();
    if (pointed === null || layer === null || this.known.peek().has(this.keyOf(pointed))) return;
    this.timer = setTimeout(() => void this.fetch(pointed, layer.run, layer.stream), DEBOUNCE_MS);
  }

  private async fetch(pointed: Pointed, run: string, stream: string): Promise<void> {
    const key = this.keyOf(pointed);
    try {
      const figures = await this.api.cell(run, stream, pointed.node, pointed.level, pointed.index);
      const kept = [...this.known.peek()].slice(1 - CAPACITY);
      this.known.value = new Map([...kept, [key, figures]]);
    } catch {
      // The tooltip keeps the tile's value; that the server is gone is noticed, and said, by what draws the heatmap.
    }
  }

  private keyOf({ node, level, index }: Pointed): string {
    const [layer, meta] = [this.store.layer.value, this.store.meta.value];
    return [layer?.run, layer?.stream, meta?.revision, node, level, index].join('\n');
  }
}

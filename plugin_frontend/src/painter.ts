import { afterFrame, oncePerFrame } from './frame.ts';
import type { Heatmap, Painted } from './heatmap.ts';
import { minimapTiles } from './minimap_model.ts';
import { type Row, type Scene, rowsOf, valuesInView } from './picture.ts';
import { SAMPLE, robustRanges } from './ranges.ts';
import { cellsInView } from './scales.ts';
import type { Store } from './store.ts';
import { PALETTES, type Theme } from './theme.ts';
import type { TileId } from './tiles.ts';
import { rowsInView, tilesBehind } from './viewport.ts';

/** Draws the store's scene once a frame at most, and asks for the tiles that it lacks. */
export class Painter {
  readonly schedule = oncePerFrame(() => {
    this.paint();
  });

  constructor(
    private readonly heatmap: Heatmap,
    private readonly store: Store,
    private readonly theme: () => Theme,
    /** Whether the page has room for the minimap. */
    private readonly withMinimap: () => boolean = () => true,
  ) {}

  private paint(): void {
    const scene = this.store.scene.peek();
    if (scene === null) return;
    const rows = rowsOf(scene);
    // The minimap waits for the picture, which it must not delay.
    const withMap = this.withMinimap() && rows.every((row) => row.missing.length === 0);
    wantTiles(this.store, withMap ? minimapTiles(scene) : []);
    if (this.store.ranges.peek()?.fromData !== true && this.mayLock(rows))
      lockRange(this.store, scene, rows, 'tiles');
    const painted = this.heatmap.draw(scene, rows, this.store.tables.peek(), PALETTES[this.theme()]);
    if (!samePainted(painted, this.store.painted.peek())) this.store.painted.value = painted;
    const run = this.store.layer.peek()?.run;
    if (!this.store.pictured.peek() && (painted.complete || this.store.tiles.idle))
      afterFrame(() => {
        if (this.store.layer.peek()?.run === run) this.store.pictured.value = true;
      });
  }

  /** All that is coming has come; before, the range would depend on which tile was first. */
  private mayLock(rows: readonly Row[]): boolean {
    const ready = rows.every((row) => row.missing.length === 0) || this.store.tiles.idle;
    return ready && rows.some((row) => row.pieces.length > 0);
  }
}

/** Asks for the tiles behind the store's scene, and for further ones. */
export function wantTiles(store: Store, further: readonly TileId[] = []): void {
  const [scene, layer] = [store.scene.peek(), store.layer.peek()];
  if (scene === null || layer === null) return;
  const nodes = scene.nodes.subarray(...rowsInView(scene.viewport, scene.nodes.length));
  const tiles = tilesBehind(nodes, cellsInView(scene.scale, scene.grid), scene.scale.level);
  store.tiles.want(layer, [...tiles, ...further]);
}

/** Fits the colour range to exactly the cells that are in view; one that was held is given up. */
export function fitRange(store: Store): void {
  const scene = store.scene.peek();
  if (scene === null) return;
  store.releaseRange();
  lockRange(store, scene, rowsOf(scene), 'rows');
}

/**
 * The first range is that of all rows in the tiles, so that it suits the rows that unfolding brings as well; a fit is
 * for the rows in view.
 */
export function lockRange(store: Store, scene: Scene, rows: readonly Row[], of: 'rows' | 'tiles'): void {
  const metric = store.metric.peek();
  if (metric === null) return;
  const ranges = robustRanges(metric.kind, valuesInView(scene, rows, of, SAMPLE));
  // Where no cell has a value, another range without one would have the same drawn again, frame after frame.
  if (ranges.fromData || store.ranges.peek() === null) store.ranges.value = ranges;
}

/** Saves the tree and the caption a rendering at each frame of a scroll. */
function samePainted(a: Painted, b: Painted): boolean {
  return (
    a.complete === b.complete &&
    a.nonFiniteCells === b.nonFiniteCells &&
    a.nonFiniteNodes.size === b.nonFiniteNodes.size &&
    [...a.nonFiniteNodes].every((node) => b.nonFiniteNodes.has(node))
  );
}

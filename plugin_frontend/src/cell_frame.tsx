import { px } from './format.ts';
import type { Rect } from './viewport.ts';

/** A frame around a cell, or around what a drag marks. */
export function CellFrame({ rect, kind }: { rect: Rect | null; kind: 'hover' | 'cursor' | 'box' }) {
  if (rect === null) return null;
  const { x, y, width, height } = rect;
  return (
    <div
      class={`cell-frame ${kind}`}
      style={{ left: px(x), top: px(y), width: px(width), height: px(height) }}
    />
  );
}

import { computed } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Brush } from './brush.tsx';
import { NON_FINITE, cssColour } from './colours.ts';
import { oncePerFrame } from './frame.ts';
import { minimapScene } from './minimap_model.ts';
import { cellOfColumns, marksOf, paintLine, rowsOf } from './picture.ts';
import { contextOf, widened } from './signs.ts';
import type { Store } from './store.ts';
import { PALETTES, type Theme } from './theme.ts';

/** Height of the marks' line, at the lower edge. */
const MARK_HEIGHT_CSS_PX = 6;

interface Props {
  store: Store;
  theme: { readonly value: Theme };
}

/** The whole run in one row, and over it the steps in view as a window to be moved and resized. */
export function Minimap({ store, theme }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current === null ? null : contextOf(canvas.current, { alpha: false });
    const schedule = oncePerFrame(() => {
      if (context !== null) draw(context, store, theme.value);
    });
    // Steps in view are not part of it: panning moves the window over the picture, and draws nothing.
    return computed(() => [
      store.grid.value,
      store.layer.value,
      store.size.value,
      store.tilesArrived.value,
      store.tables.value,
      theme.value,
    ]).subscribe(schedule);
  }, [store, theme]);
  return (
    <>
      <div class="minimap-head">Whole run</div>
      <div class="minimap" data-testid="minimap">
        <canvas ref={canvas} aria-hidden="true" />
        <Brush store={store} />
      </div>
    </>
  );
}

function draw(context: CanvasRenderingContext2D, store: Store, theme: Theme): void {
  const [scene, tables] = [store.scene.peek(), store.tables.peek()];
  if (scene === null) return;
  const map = minimapScene(scene);
  const { widthDevicePx, devicePixelRatio } = map.viewport;
  const { canvas } = context;
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  canvas.width = widthDevicePx;
  canvas.height = height;
  context.fillStyle = PALETTES[theme].background;
  context.fillRect(0, 0, widthDevicePx, height);
  const rows = rowsOf(map);
  const [row] = rows;
  if (row === undefined || tables === null || height === 0) return;
  const image = new ImageData(widthDevicePx, 1);
  paintLine(new Uint32Array(image.data.buffer), row, map.scale, cellOfColumns(map.scale), tables);
  const line = contextOf(document.createElement('canvas'), { willReadFrequently: true });
  line.canvas.width = widthDevicePx;
  line.canvas.height = 1;
  line.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(line.canvas, 0, 0, widthDevicePx, 1, 0, 0, widthDevicePx, height);
  context.fillStyle = cssColour(NON_FINITE);
  const tall = Math.round(MARK_HEIGHT_CSS_PX * devicePixelRatio);
  for (const mark of marksOf(map, rows, () => false)) {
    if (mark.kind !== 'nonFinite') continue;
    const { left, right } = widened(mark, widthDevicePx);
    context.fillRect(left, height - tall, right - left, tall);
  }
}

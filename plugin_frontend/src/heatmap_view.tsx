import { type ReadonlySignal, computed } from '@preact/signals';
import type { ComponentChildren, RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { watchCorner } from './alignment.ts';
import { CellFrame } from './cell_frame.tsx';
import type { Drill } from './drill/drill.ts';
import { Gestures } from './gestures.ts';
import { Heatmap } from './heatmap.ts';
import type { Navigation } from './navigation.ts';
import { Painter } from './painter.ts';
import type { Pointing } from './pointing.ts';
import { StepLine } from './step_line.tsx';
import type { CanvasSize, Store } from './store.ts';
import type { Theme } from './theme.ts';

/** Safari lays canvases out in device pixels as well, but does not tell how many there are. */
const TELLS_DEVICE_PX = 'devicePixelContentBoxSize' in ResizeObserverEntry.prototype;

function watchSize(element: Element, report: (size: CanvasSize) => void): () => void {
  const observer = new ResizeObserver(([entry]) => {
    const box = TELLS_DEVICE_PX ? entry?.devicePixelContentBoxSize[0] : entry?.contentBoxSize[0];
    const perUnit = TELLS_DEVICE_PX ? 1 : window.devicePixelRatio;
    // A hidden tab has no size; what was drawn before is still right when it comes back.
    if (box === undefined || box.inlineSize === 0 || box.blockSize === 0) return;
    report({
      widthDevicePx: Math.round(box.inlineSize * perUnit),
      heightDevicePx: Math.round(box.blockSize * perUnit),
      devicePixelRatio: window.devicePixelRatio,
    });
  });
  observer.observe(element, { box: TELLS_DEVICE_PX ? 'device-pixel-content-box' : 'content-box' });
  return () => {
    observer.disconnect();
  };
}

interface Props {
  store: Store;
  pointing: Pointing;
  navigation: Navigation;
  drill: Drill;
  theme: { readonly value: Theme };
  element: RefObject<HTMLDivElement | null>;
  minimap: ReadonlySignal<boolean>;
  /** What lies upon the cells. */
  children?: ComponentChildren;
}

export function HeatmapView(props: Props) {
  const { store, pointing, navigation, drill, theme, element, minimap, children } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  // Ahead of the frame that shows the page, so that its first picture is in it.
  useLayoutEffect(() => {
    if (canvas.current === null) return undefined;
    const painter = new Painter(
      new Heatmap(canvas.current),
      store,
      () => theme.value,
      () => minimap.value,
    );
    const changes = computed(() => [store.scene.value, store.tables.value, theme.value, minimap.value]);
    const endings = [
      changes.subscribe(() => {
        painter.schedule();
      }),
      new Gestures(canvas.current, store, pointing, navigation, drill).attach(),
      watchSize(canvas.current, (size) => (store.size.value = size)),
      watchCorner(canvas.current, (leftCssPx, topCssPx) => {
        store.leftCssPx.value = leftCssPx;
        store.topCssPx.value = topCssPx;
      }),
    ];
    return () => {
      for (const end of endings) end();
    };
  }, [store, pointing, navigation, drill, theme, minimap]);
  const shown = [store.stream.value, store.metric.value, store.view.value].map((one) => one?.label ?? '');
  const label = `${shown.join(', ')}, by tensor and step`;
  return (
    <div class="heatmap" ref={element}>
      <canvas
        ref={canvas}
        data-testid="heatmap"
        tabIndex={0}
        role="application"
        aria-roledescription="heatmap"
        aria-label={`${label}. Arrow keys move by cells, Enter opens one, plus and minus zoom, 0 shows the whole run, question mark lists all keys.`}
      />
      {children}
      <Frames store={store} pointing={pointing} navigation={navigation} />
    </div>
  );
}

/** A view of its own, so that the pointer renders no more than what follows it. */
function Frames({ store, pointing, navigation }: Pick<Props, 'store' | 'pointing' | 'navigation'>) {
  const pointed = pointing.pointed.value;
  return (
    <>
      <CellFrame rect={pointed?.by === 'pointer' ? pointed.rect : null} kind="hover" />
      <StepLine store={store} step={pointing.stepElsewhere.value} kind="hairline" />
      <CellFrame rect={pointing.cursorCell.value?.rect ?? null} kind="cursor" />
      <CellFrame rect={navigation.box.value} kind="box" />
    </>
  );
}

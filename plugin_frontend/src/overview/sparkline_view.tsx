import { useEffect, useRef } from 'preact/hooks';
import type { Overview } from '../contract.ts';
import { colourOf, lookOf } from '../drill/looks.ts';
import type { StepScale } from '../scales.ts';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import type { Group } from './groups.ts';
import { MOST_STRETCH, drawSparkline, stretchOf, transformOf } from './sparkline.ts';

/** Styles of lines that a group may use, as in the drill-down. */
export const STYLES = 9;

/** Movements pause no longer than this. */
const REST_MS = 150;

interface Props {
  store: Store;
  theme: { readonly value: Theme };
  overview: Overview;
  group: Group;
  rowCssPx: number;
  ticks: boolean;
}

/** A group's lines. While the steps in view move, their picture is moved along; it is drawn anew when they rest. */
export function Sparkline({ store, theme, overview, group, rowCssPx, ticks }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [{ devicePixelRatio }, look] = [store.size.value, theme.value];
  useEffect(() => {
    const element = canvas.current;
    if (element === null) return undefined;
    const looks = group.series.map((_, i) => lookOf(element, i % STYLES, false));
    const colours = { bad: colourOf(element, '--bad'), skipped: colourOf(element, '--skipped') };
    let drawn: StepScale | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const draw = (scale: StepScale) => {
      drawSparkline(element, rowCssPx, scale, devicePixelRatio, overview, group, ticks, looks, colours);
      element.style.transform = '';
      drawn = scale;
    };
    const stop = store.scale.subscribe((scale) => {
      clearTimeout(timer);
      if (scale === null) return;
      if (drawn === null || stretchOf(drawn, scale) > MOST_STRETCH) {
        draw(scale);
      } else {
        element.style.transform = transformOf(drawn, scale, devicePixelRatio);
        timer = setTimeout(draw, REST_MS, scale);
      }
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [store, overview, group.label, rowCssPx, devicePixelRatio, ticks, look]);
  return <canvas ref={canvas} aria-hidden="true" data-testid="sparkline" />;
}

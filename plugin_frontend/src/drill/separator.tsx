import { type Drill, heightLimits } from './drill.ts';

/** Heights change by this at one press of an arrow. */
const KEY_CSS_PX = 24;

/** The panel's upper edge: dragged, or moved with the arrows, Home and End. */
export function Separator({ drill, controls }: { drill: Drill; controls: string }) {
  const [least, most] = heightLimits(window.innerHeight);
  const height = drill.heightCssPx.value;
  const resize = (heightCssPx: number) => {
    drill.resize(heightCssPx, window.innerHeight);
  };
  return (
    <div
      class="separator"
      data-testid="separator"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the drill-down"
      aria-controls={controls}
      aria-valuemin={least}
      aria-valuemax={most}
      aria-valuenow={height}
      tabIndex={0}
      onPointerDown={(event) => {
        if (event.button === 0) event.currentTarget.setPointerCapture(event.pointerId);
      }}
      onPointerMove={(event) => {
        if (event.currentTarget.hasPointerCapture(event.pointerId))
          resize(window.innerHeight - event.clientY);
      }}
      onKeyDown={(event) => {
        const heights: Record<string, number> = {
          ArrowUp: height + KEY_CSS_PX,
          ArrowDown: height - KEY_CSS_PX,
          Home: least,
          End: most,
        };
        const wanted = heights[event.key];
        if (wanted === undefined) return;
        event.preventDefault();
        resize(wanted);
      }}
    />
  );
}

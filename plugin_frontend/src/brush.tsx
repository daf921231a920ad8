import { useRef } from 'preact/hooks';
import { formatSteps, px } from './format.ts';
import { type Grip, drawn, gripStep, gripped, keyedStep, minimapScale } from './minimap_model.ts';
import { type StepWindow, devicePxAt, stepAt } from './scales.ts';
import type { Store } from './store.ts';

/** A press that moves less than this draws no window. */
const DRAG_CSS_PX = 3;

/** A press on the minimap. */
interface Press {
  readonly pointerId: number;
  readonly clientX: number;
  readonly step: number;
  /** What is held, and by how many steps beside its own; null draws a window. */
  readonly held: { readonly grip: Grip; readonly besideSteps: number } | null;
  readonly moved: boolean;
}

const GRIPS: readonly { grip: Grip; label: string }[] = [
  { grip: 'window', label: 'Steps in view' },
  { grip: 'start', label: 'First step in view' },
  { grip: 'end', label: 'Last step in view' },
];

/** The steps in view, over the whole run. Three sliders: the window as a whole, and each of its edges. */
export function Brush({ store }: { store: Store }) {
  const track = useRef<HTMLDivElement>(null);
  const press = useRef<Press | null>(null);
  const [grid, size] = [store.grid.value, store.size.value];
  if (grid === null || size.widthDevicePx === 0) return null;
  const whole = minimapScale(grid, size.widthDevicePx);
  const window = store.window.value ?? whole;
  const take = (grip: Grip, step: number) => {
    store.zoomTo(gripped(grid, whole, window, grip, step));
  };
  const stepOf = (event: PointerEvent) => {
    const left = track.current?.getBoundingClientRect().left ?? 0;
    return stepAt(whole, (event.clientX - left) * size.devicePixelRatio);
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const step = stepOf(event);
    const zoomed = store.window.peek() !== null;
    const pressed = gripOf(event.target);
    const grip = pressed === 'window' && !zoomed ? null : pressed;
    if (grip === null && zoomed) take('window', step);
    const besideSteps = grip === null ? 0 : step - gripStep(window, grip);
    press.current = {
      ...{ pointerId: event.pointerId, clientX: event.clientX, step, moved: false },
      held: grip === null && !zoomed ? null : { grip: grip ?? 'window', besideSteps },
    };
    track.current?.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const now = press.current;
    if (now?.pointerId !== event.pointerId) return;
    if (!now.moved && Math.abs(event.clientX - now.clientX) < DRAG_CSS_PX) return;
    press.current = { ...now, moved: true };
    if (now.held === null) store.zoomTo(drawn(grid, now.step, stepOf(event)));
    else take(now.held.grip, stepOf(event) - now.held.besideSteps);
  };
  const end = () => {
    press.current = null;
  };
  const [left, right] = [window.start, window.end].map(
    (step) => devicePxAt(whole, step) / size.devicePixelRatio,
  );
  return (
    <div
      ref={track}
      class={store.window.value === null ? 'brush whole' : 'brush'}
      style={{ '--left': px(left ?? 0), '--right': px(right ?? 0) }}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={end}
      onPointerCancel={end}
    >
      <div class="veil before" />
      <div class="veil after" />
      {GRIPS.map(({ grip, label }) => (
        <div
          key={grip}
          class={`grip ${grip}`}
          data-grip={grip}
          data-testid={`minimap-${grip}`}
          role="slider"
          tabIndex={0}
          aria-label={label}
          aria-valuemin={whole.start}
          aria-valuemax={whole.end}
          aria-valuenow={Math.round(gripStep(window, grip))}
          aria-valuetext={valueText(window, grip)}
          onKeyDown={(event) => {
            const step = keyedStep(grid, whole, window, grip, event.key);
            if (step === null) return;
            event.preventDefault();
            take(grip, step);
          }}
        />
      ))}
    </div>
  );
}

function gripOf(target: EventTarget | null): Grip | null {
  const name = target instanceof HTMLElement ? target.dataset.grip : undefined;
  return GRIPS.find(({ grip }) => grip === name)?.grip ?? null;
}

function valueText(window: StepWindow, grip: Grip): string {
  const [first, end] = [Math.floor(window.start), Math.ceil(window.end)];
  if (grip === 'window') return formatSteps(first, end);
  return grip === 'start' ? formatSteps(first, first + 1) : formatSteps(end - 1, end);
}

import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { CopyLines } from './copy_lines.tsx';
import { shortened } from './format.ts';
import type { Store } from './store.ts';

const NAME_CHARACTERS = 80;

const FIRST_LINES = [
  'from tb_gradhealth import GradHealthWriter',
  'optimizer = GradHealthWriter(optimizer, model, logdir="runs/exp1")',
  'tensorboard --logdir runs',
];

/** The page where there is no heatmap to show: what is the matter, and what to do. */
export function Message({ store }: { store: Store }) {
  const run = store.run.value;
  switch (store.screen.value) {
    case 'empty':
      return <Empty />;
    case 'missing':
      return (
        <Sorry
          title="This run is gone"
          text="TensorBoard does not list it any more. Choose another run above, or put its files back."
        />
      );
    case 'none':
      return (
        <Sorry
          title="No Grad Health data in this run"
          text="Choose another run above, or train this one with a GradHealthWriter around its optimizer."
        />
      );
    case 'waiting':
      return (
        <Sorry
          title="Waiting for the first row"
          text={run?.problem ?? 'The run has begun; the heatmap appears when its first steps are written.'}
        />
      );
    case 'unreadable':
      return (
        <Sorry
          title="This run cannot be read"
          text={run?.problem ?? 'TensorBoard gave no reason; see its terminal.'}
        />
      );
    case 'refused':
      return <Sorry title="This run cannot be shown" text={store.refusal.value ?? ''} />;
    case 'loading':
    case 'heatmap':
      return null;
  }
}

/**
 * The place of tree and heatmap before there is anything to show, laid out like them: so the first tiles can be asked
 * for before they are.
 */
export function Room({ store }: { store: Store }) {
  const heatmap = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const [ratio, box] = [window.devicePixelRatio, heatmap.current?.getBoundingClientRect()];
    if (box === undefined || box.width * box.height === 0 || store.size.peek().widthDevicePx > 0) return;
    store.size.value = {
      widthDevicePx: Math.round(box.width * ratio),
      heightDevicePx: Math.round(box.height * ratio),
      devicePixelRatio: ratio,
    };
  }, [store]);
  return (
    <div class="scroller">
      <div class="page">
        <div class="pinned">
          <div class="tree-head" />
          <div class="axis" />
          <div class="tree" />
          <div ref={heatmap}>
            <p class="message quiet" role="status">
              Loading…
            </p>
          </div>
        </div>
      </div>
    </div>
  );
}

function Sorry({ title, text }: { title: string; text: string }) {
  return (
    <div class="message" role="status" data-testid="message">
      <h1>{title}</h1>
      <p>
        <bdi>{text}</bdi>
      </p>
    </div>
  );
}

function Empty() {
  return (
    <div class="message" data-testid="empty-state">
      <h1>No Grad Health data yet</h1>
      <p>Wrap the optimizer of a training loop, train, and point TensorBoard at the same folder:</p>
      <CopyLines text={FIRST_LINES.join('\n')} />
      <p class="quiet">This page looks again every few seconds.</p>
    </div>
  );
}

/** What to know beside the picture: an outage, a refusal, a run that is partly damaged or there in overview only. */
export function Notices({ store, children }: { store: Store; children?: ComponentChildren }) {
  const [connection, screen] = [store.connection.value, store.screen.value];
  const [wanted, came] = [store.streamName.value, store.nextStream.value];
  const problem = screen === 'heatmap' ? (store.meta.value?.problem ?? store.run.value?.problem) : null;
  return (
    <div class="notices" role="status" aria-live="polite">
      {connection === 'gone' && (
        <div class="notice warning" data-testid="notice">
          TensorBoard does not answer; trying again.{' '}
          {screen === 'heatmap' && 'The picture is the last one received.'}
        </div>
      )}
      {connection === 'back' && (
        <div class="notice good" data-testid="notice">
          TensorBoard answers again.
        </div>
      )}
      {problem != null && (
        <div class="notice warning" data-testid="notice">
          <bdi>{problem}</bdi>
        </div>
      )}
      {screen === 'heatmap' && wanted !== null && wanted !== came?.name && (
        <div class="notice" data-testid="notice">
          This run has no stream <bdi>{shortened(wanted, NAME_CHARACTERS)}</bdi>: its first one is shown.
        </div>
      )}
      {screen === 'heatmap' && store.meta.value?.overview === true && (
        <div class="notice" data-testid="notice">
          Overview only: this run’s archive is not to be had here, or has been cut to its newest rows, so some
          steps show as part of a longer interval. No spike is lost.
        </div>
      )}
      {screen === 'heatmap' && store.refusal.value !== null && (
        <div class="notice warning" data-testid="notice">
          <bdi>{store.refusal.value}</bdi>
        </div>
      )}
      {children}
    </div>
  );
}

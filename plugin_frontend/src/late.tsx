import { effect } from '@preact/signals';
import { type ComponentChildren, h } from 'preact';
import type { Alerts } from './alerts/alerts.ts';
import type { Api } from './api.ts';
import { Chunk } from './chunk.ts';
import type * as laterParts from './later.ts';
import type { LinkedRun } from './linked.ts';
import type { Store } from './store.ts';
import { isVisible } from './visibility.ts';

type Later = typeof laterParts;
type View<P> = (props: P) => ComponentChildren;

/** Without a complete picture, as of a run whose tiles fail to come, the rest is loaded after this time. */
const PATIENCE_MS = 2_000;

/** All views that the first picture does without. */
export const later = new Chunk(() => import('./later.ts'));

/** A view out of that chunk; until it is here, `meanwhile` keeps its room, so that nothing moves when it comes. */
function late<P extends object>(of: (parts: Later) => View<P>, meanwhile: View<P> = () => null): View<P> {
  return function Late(props: P) {
    const parts = later.loaded.value;
    return h(parts === null ? meanwhile : of(parts), props);
  };
}

export const AlertMarks = late((parts) => parts.AlertMarks);
export const AlertRail = late((parts) => parts.AlertRail, RailRoom);
export const DrillDown = late(
  (parts) => parts.DrillDown,
  ({ drill }) =>
    drill.open.value ? <section class="drill" style={{ height: drill.cssHeight.value }} /> : null,
);
export const ExportItems = late((parts) => parts.ExportItems);
export const FirstHeading = late(
  (parts) => parts.FirstHeading,
  () => <div class="compare-heading" />,
);
export const Hairline = late((parts) => parts.Hairline);
export const HelpDialog = late((parts) => parts.HelpDialog);
export const Minimap = late(
  (parts) => parts.Minimap,
  () => (
    <>
      <div class="minimap-head">Whole run</div>
      <div class="minimap" />
    </>
  ),
);
export const OverviewRows = late((parts) => parts.OverviewRows);
export const Second = late(
  (parts) => parts.Second,
  () => <section class="second" />,
);
export const Strip = late(
  (parts) => parts.Strip,
  () => (
    <>
      <div class="strip-head" />
      <div class="strip" />
    </>
  ),
);
export const Tips = late((parts) => parts.Tips);

/** Where the rail will be. */
export function RailRoom({ alerts }: { alerts: Alerts }) {
  return alerts.open.value ? <aside class="alert-rail" id="alert-rail" aria-label="Alerts" /> : null;
}

/** Loads them, and what fills them, once the first picture is complete, which they must not delay; and again when the server is back. */
export function loadLater(store: Store, linked: LinkedRun, alerts: Alerts, api: Api): void {
  const timer = setTimeout(begin, PATIENCE_MS);
  const stop = store.pictured.subscribe((pictured) => {
    if (pictured) begin();
  });
  function begin(): void {
    clearTimeout(timer);
    // The first call may come from within `subscribe`.
    queueMicrotask(() => {
      stop();
    });
    later.ask();
  }
  effect(() => {
    const parts = later.loaded.value;
    if (parts === null) return;
    new parts.RegexSearch(store).start();
    const findings = new parts.Findings();
    alerts.findings.value = findings;
    new parts.BesideFeed(api, store, linked, alerts).start();
    new parts.AlertFeed(api, store, alerts, findings, isVisible).start();
    whenIdle(parts.prepareChart);
  });
  effect(() => {
    if (store.connection.value === 'back' && later.failed.peek()) later.ask();
  });
}

/** Safari does not tell when it has nothing else to do. */
function whenIdle(act: () => void): void {
  if ('requestIdleCallback' in window) requestIdleCallback(act);
  else setTimeout(act, PATIENCE_MS);
}

/** In the place of what could not be loaded. */
export function LateProblem() {
  if (!later.failed.value) return null;
  return (
    <div class="notice warning" data-testid="late-problem">
      Parts of this page could not be loaded.{' '}
      <button
        type="button"
        onClick={() => {
          later.ask();
        }}
      >
        Try again
      </button>{' '}
      If that does not help, reload the page; nothing of the view is lost.
    </div>
  );
}

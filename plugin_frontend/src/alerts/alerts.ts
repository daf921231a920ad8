import { batch, computed, signal } from '@preact/signals';
import type { Alert, Severity } from '../contract.ts';
import { formatCount, plural } from '../format.ts';
import { type Tree, fullName } from '../model.ts';
import type { Place } from '../store.ts';
import { SEVERITIES } from './kinds.ts';

/** Below this width the rail would take more from the heatmap than it gives. */
const ROOM_CSS_PX = 1_100;

/** What has been found in the first stream of a run, as of a revision of the run. */
export interface Found {
  readonly run: string;
  readonly stream: string;
  /** That alerts name nodes of. */
  readonly tree: Tree;
  readonly revision: number;
  readonly alerts: readonly Alert[];
  readonly complete: boolean;
}

/** `place` is the very one that the cursor was set to: when the cursor is elsewhere, it has been moved on. */
export interface Visit {
  readonly id: string;
  readonly place: Place;
  readonly told: string;
}

/** Where the page remembers whether the rail was open, from one visit to the next. */
export interface Memory {
  read: () => string | null;
  write: (value: string) => void;
}

/** What is known of a run's alerts, which are those of its first stream, and how much of it people want to see. */
export class Alerts {
  readonly found = signal<Found | null>(null);
  /** Why there is no newer list; the last one stays. */
  readonly problem = signal<string | null>(null);
  readonly shown = signal<ReadonlySet<Severity>>(new Set(SEVERITIES));
  readonly marksShown = signal(true);
  /** The alert that was gone to last, where its cell is, and what to tell of it. */
  readonly visited = signal<Visit | null>(null);
  readonly open = signal(false);
  /** The run for which the rail has opened or stayed closed by itself. */
  private decidedFor: string | null = null;
  private byHand = false;

  constructor(
    private readonly memory: Memory,
    private readonly pageCssPx: () => number,
  ) {
    const remembered = memory.read();
    if (remembered === null) return;
    this.byHand = true;
    this.open.value = remembered === 'open';
  }

  readonly all = computed(() => this.found.value?.alerts ?? []);
  readonly counts = computed(() => countsOf(this.all.value));
  /** Those of the severities that are wanted, the gravest first. */
  readonly listed = computed(() => this.all.value.filter((alert) => this.shown.value.has(alert.severity)));
  readonly inTime = computed(() => inTimeOrder(this.listed.value));

  /** Whether it is the stream that they were found in. */
  areOf(stream: { readonly name: string } | null): boolean {
    return this.found.value?.stream === stream?.name;
  }

  /** Of the node that an alert is about. */
  pathOf({ node }: Alert): string {
    const tree = this.found.value?.tree;
    return tree === undefined ? '' : fullName(tree, node);
  }

  receive(found: Found): void {
    batch(() => {
      this.found.value = found;
      this.problem.value = null;
      // Once for a run: an alert that comes while somebody reads the heatmap must not move it.
      if (this.byHand || this.decidedFor === found.run) return;
      this.decidedFor = found.run;
      if (this.counts.value.critical > 0 && this.pageCssPx() >= ROOM_CSS_PX) this.open.value = true;
    });
  }

  forget(): void {
    batch(() => {
      this.found.value = null;
      this.problem.value = null;
      this.visited.value = null;
    });
  }

  toggle(): void {
    this.byHand = true;
    this.open.value = !this.open.peek();
    this.memory.write(this.open.peek() ? 'open' : 'closed');
  }

  toggleSeverity(severity: Severity): void {
    const shown = new Set(this.shown.peek());
    if (!shown.delete(severity)) shown.add(severity);
    this.shown.value = shown;
  }
}

export function countsOf(alerts: readonly Alert[]): Record<Severity, number> {
  const counts = { critical: 0, warning: 0, notice: 0 };
  for (const { severity } of alerts) counts[severity]++;
  return counts;
}

export function inTimeOrder(alerts: readonly Alert[]): Alert[] {
  const grave = (alert: Alert) => SEVERITIES.indexOf(alert.severity);
  return alerts.toSorted((a, b) => a.steps[0] - b.steps[0] || grave(a) - grave(b) || a.node - b.node);
}

export interface Jump {
  readonly alert: Alert;
  /** From 1. */
  readonly number: number;
  readonly wrapped: boolean;
}

/**
 * The alert after (1) or before (-1) the one that was gone to last. Without one, or where it is gone, that is from
 * `step`: the first at it or later, the last before it. After the last comes the first.
 */
export function jumpFrom(
  inTime: readonly Alert[],
  current: string | null,
  step: number,
  direction: 1 | -1,
): Jump | null {
  const at = inTime.findIndex((alert) => alert.id === current);
  const later = inTime.findIndex((alert) => alert.steps[0] >= step);
  const firstLater = later < 0 ? inTime.length : later;
  const wanted = at >= 0 ? at + direction : direction === 1 ? firstLater : firstLater - 1;
  const index = (wanted + inTime.length) % inTime.length;
  const alert = inTime[index];
  return alert === undefined ? null : { alert, number: index + 1, wrapped: wanted !== index };
}

/** What a jump tells: where in the row of alerts one is now, and the finding itself. */
export function sentenceOfJump({ alert, number, wrapped }: Jump, count: number, direction: 1 | -1): string {
  const from = direction === 1 ? 'From the last back to the first. ' : 'From the first on to the last. ';
  const around = wrapped && count > 1 ? from : '';
  return `${around}Alert ${formatCount(number)} of ${formatCount(count)}, ${alert.severity}: ${alert.text}`;
}

/** All that was found in a few words. */
export function summaryOf(counts: Record<Severity, number>): string {
  const parts = [
    counts.critical > 0 ? `${formatCount(counts.critical)} critical` : '',
    counts.warning > 0 ? plural(counts.warning, 'warning') : '',
    counts.notice > 0 ? plural(counts.notice, 'notice') : '',
  ].filter((part) => part !== '');
  return parts.length > 0 ? parts.join(', ') : 'nothing found';
}

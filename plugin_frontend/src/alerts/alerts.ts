import { batch, computed, signal } from '@preact/signals';
import type { Alert, Severity } from '../contract.ts';
import { plural } from '../format.ts';
import type { Findings } from '../findings/findings.ts';
import { type Tree, fullName } from '../model.ts';
import type { Place } from '../store.ts';
import { GRADES, type Grade, SEVERITIES, type Spot } from './kinds.ts';

/** Below this width the rail would take more from the heatmap than it gives. */
const ROOM_CSS_PX = 1_100;

/** How wide the rail is that lies upon the heatmap instead. */
const RAIL_CSS_PX = 320;

/** Grades of which there may be several. */
const NOUNS: ReadonlySet<Grade> = new Set(['warning', 'notice']);

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
  /** What the diagnosis found, which comes with the views that show it. */
  readonly findings = signal<Findings | null>(null);
  /** The same of the run beside this one; null where there is none. */
  readonly beside = signal<Findings | null>(null);
  /** Why there is no newer list; the last one stays. */
  readonly problem = signal<string | null>(null);
  readonly shown = signal<ReadonlySet<Severity>>(new Set(SEVERITIES));
  readonly marksShown = signal(true);
  /** What was gone to last, where its cell is, and what to tell of it. */
  readonly visited = signal<Visit | null>(null);
  readonly open = signal(false);
  /** The run for which the rail has opened or stayed closed by itself, by what was found. */
  private readonly decidedFor = new Map<'alerts' | 'findings', string>();
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
  /** All that is marked and gone to. */
  readonly inTime = computed<readonly Spot[]>(() =>
    inTimeOrder([...(this.findings.value?.spots.value ?? []), ...this.listed.value]),
  );
  /** Where it was found. */
  readonly source = computed(() => this.found.value ?? this.findings.value?.found.value ?? null);

  /** Whether it is the stream that they were found in. */
  areOf(stream: { readonly name: string } | null): boolean {
    return this.source.value?.stream === stream?.name;
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
      this.decide('alerts', found.run, this.counts.value.critical > 0);
    });
  }

  /** Opens the rail for something grave. Once for a run: what comes while somebody reads the heatmap must not move it. */
  decide(what: 'alerts' | 'findings', run: string, isGrave: boolean): void {
    if (this.byHand || this.decidedFor.get(what) === run) return;
    this.decidedFor.set(what, run);
    if (isGrave && this.pageCssPx() >= ROOM_CSS_PX) this.open.value = true;
  }

  forget(): void {
    batch(() => {
      this.found.value = null;
      this.problem.value = null;
      this.visited.value = null;
      this.findings.peek()?.forget();
    });
  }

  /** Of the heatmap, at its right. */
  coveredCssPx(): number {
    return this.open.peek() && this.pageCssPx() < ROOM_CSS_PX ? RAIL_CSS_PX : 0;
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

export function countsOf(found: readonly { readonly severity: Grade }[]): Record<Grade, number> {
  const counts = { critical: 0, high: 0, warning: 0, medium: 0, low: 0, notice: 0 };
  for (const { severity } of found) counts[severity]++;
  return counts;
}

export function inTimeOrder<T extends Spot>(found: readonly T[]): T[] {
  const grave = ({ severity }: Spot) => GRADES.indexOf(severity);
  return found.toSorted((a, b) => a.steps[0] - b.steps[0] || grave(a) - grave(b) || a.node - b.node);
}

/** All that was found in a few words. */
export function summaryOf(counts: Record<Grade, number>): string {
  const parts = GRADES.filter((grade) => counts[grade] > 0).map((grade) =>
    plural(counts[grade], grade, NOUNS.has(grade) ? `${grade}s` : grade),
  );
  return parts.length > 0 ? parts.join(', ') : 'nothing found';
}

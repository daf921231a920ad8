import { type Signal, effect } from '@preact/signals';
import type { Api } from '../api.ts';
import type { Meta } from '../contract.ts';
import { diagnosisOf } from '../findings/asked.ts';
import type { Findings } from '../findings/findings.ts';
import { type Tree, buildTree, sameNodes } from '../model.ts';
import type { Store } from '../store.ts';
import type { Alerts } from './alerts.ts';

/** What is asked for with the first picture comes first. */
const DEBOUNCE_MS = 300;

/** A live run's revision may grow each second, and the backend looks through the whole run. */
const LEAST_GAP_MS = 5_000;

interface Wanted {
  readonly run: string;
  readonly stream: string;
  readonly revision: number;
  readonly sessions: number;
  readonly steps: readonly [number, number];
}

/** Keeps alerts and findings as new as the run, while somebody can see them. */
export class AlertFeed {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked: (Wanted & { at: number }) | null = null;
  private latest = 0;
  private about: readonly unknown[] = [];
  /** Nodes of the first stream, as of so many sessions. */
  private lead: { readonly tree: Tree; readonly sessions: number } | null = null;

  constructor(
    private readonly api: Pick<Api, 'alerts' | 'findings' | 'meta'>,
    private readonly store: Store,
    private readonly alerts: Alerts,
    private readonly findings: Findings,
    private readonly isVisible: () => boolean,
  ) {}

  /** Looks at each poll whether there is news: polls stop while the page is hidden, and go on when it is seen again. */
  start(): void {
    effect(() => {
      const [polled, meta, tree] = [this.store.runs.value, this.store.meta.value, this.store.tree.value];
      clearTimeout(this.timer);
      const stream = meta?.streams[0]?.name;
      const about = [this.store.runName.value, stream];
      if (about.some((one, i) => one !== this.about[i])) this.forget();
      this.about = about;
      if (polled === null || meta === null || stream === undefined || !this.store.pictured.value) return;
      if (tree !== null && meta.stream === stream) this.know(meta, tree);
      const wanted = {
        run: meta.run,
        stream,
        revision: meta.revision,
        sessions: meta.sessions.length,
        steps: meta.steps,
      };
      const { asked } = this;
      const same = asked?.run === wanted.run && asked.stream === wanted.stream;
      if (same && asked.revision === wanted.revision) return;
      const wait = same ? asked.at + LEAST_GAP_MS - Date.now() : 0;
      this.timer = setTimeout(
        () => {
          if (this.isVisible()) this.load(wanted);
        },
        Math.max(DEBOUNCE_MS, wait),
      );
    });
  }

  private forget(): void {
    this.latest++;
    this.asked = null;
    this.lead = null;
    this.alerts.forget();
  }

  /** Takes note of the first stream's nodes. Alerts name them by index, so they are of no use beside other ones. */
  private know({ sessions }: Meta, found: Tree): Tree {
    const known = this.lead?.tree ?? found;
    const same = known === found || sameNodes(known, found);
    if (!same) this.forget();
    const tree = same ? known : found;
    this.lead = { tree, sessions: sessions.length };
    return tree;
  }

  /** Asked for while another stream is shown, and only when its nodes may have changed. */
  private async treeOf({ run, sessions }: Wanted): Promise<Tree> {
    if (this.lead?.sessions === sessions) return this.lead.tree;
    const meta = await this.api.meta(run);
    return this.know(meta, buildTree(meta.nodes));
  }

  private load(wanted: Wanted): void {
    const number = ++this.latest;
    this.asked = { ...wanted, at: Date.now() };
    const nodes = this.treeOf(wanted);
    // Neither waits for the other: alerts are looked for now, findings were when the run was recorded.
    void this.loadAlerts(wanted, number, nodes);
    void this.loadFindings(wanted, number, nodes);
  }

  private async loadAlerts(wanted: Wanted, number: number, nodes: Promise<Tree>): Promise<void> {
    try {
      const [reply, tree] = await Promise.all([this.api.alerts(wanted.run, wanted.stream), nodes]);
      if (number === this.latest) this.alerts.receive({ ...wanted, tree, ...reply });
    } catch (error) {
      this.failed(wanted, number, this.alerts.problem, error);
    }
  }

  private async loadFindings(wanted: Wanted, number: number, nodes: Promise<Tree>): Promise<void> {
    try {
      const [reply, tree] = await Promise.all([diagnosisOf(this.api, wanted.run), nodes]);
      if (number !== this.latest) return;
      this.findings.receive({ ...wanted, tree, ...reply });
      const { critical, high } = this.findings.counts.peek();
      this.alerts.decide('findings', wanted.run, critical + high > 0);
    } catch (error) {
      this.failed(wanted, number, this.findings.problem, error);
    }
  }

  /** A failure is told in the rail alone: whether TensorBoard is there at all, polling finds out. */
  private failed(wanted: Wanted, number: number, problem: Signal<string | null>, error: unknown): void {
    if (number !== this.latest) return;
    problem.value = error instanceof Error ? error.message : String(error);
    // Asked for again at a later poll, as the run may be there again, or the server another one.
    this.asked = { ...wanted, revision: Number.NaN, at: Date.now() };
  }
}

import { effect } from '@preact/signals';
import type { Alerts } from '../alerts/alerts.ts';
import type { Api } from '../api.ts';
import type { Meta } from '../contract.ts';
import type { LinkedRun } from '../linked.ts';
import type { Store } from '../store.ts';
import { diagnosisOf } from './asked.ts';
import { Findings } from './findings.ts';

/** As with the first run's: pictures come first, and a live run is not asked all the time. */
const DEBOUNCE_MS = 300;
const LEAST_GAP_MS = 5_000;

const NEVER = { revision: Number.NaN, at: Number.NEGATIVE_INFINITY };

/** Keeps the findings of the run that stands beside the first one as new as that run. */
export class BesideFeed {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private run: string | null = null;
  private asked = NEVER;

  constructor(
    private readonly api: Pick<Api, 'findings'>,
    private readonly store: Pick<Store, 'runs'>,
    private readonly linked: Pick<LinkedRun, 'meta'>,
    private readonly alerts: Alerts,
  ) {}

  /** Looks at each poll whether there is news. */
  start(): void {
    effect(() => {
      const [polled, meta] = [this.store.runs.value, this.linked.meta.value];
      clearTimeout(this.timer);
      if ((meta?.run ?? null) !== this.run) {
        this.run = meta?.run ?? null;
        this.asked = NEVER;
        this.alerts.beside.value = meta === null ? null : new Findings('B');
      }
      if (polled === null || meta === null || meta.revision === this.asked.revision) return;
      const wait = Math.max(DEBOUNCE_MS, this.asked.at + LEAST_GAP_MS - Date.now());
      this.timer = setTimeout(() => void this.load(meta), wait);
    });
  }

  private async load({ run, revision, steps, streams }: Meta): Promise<void> {
    const findings = this.alerts.beside.peek();
    const asked = (this.asked = { revision, at: Date.now() });
    const stream = streams[0]?.name ?? '';
    try {
      const reply = await diagnosisOf(this.api, run);
      // Rows are the first run's: there a node is found by its name. Both may have a finding of the same id.
      const found = reply.findings.map((one) => ({ ...one, id: `B ${one.id}`, node: null }));
      findings?.receive({ ...reply, run, stream, revision, steps, findings: found });
    } catch (error) {
      if (findings !== null) findings.problem.value = error instanceof Error ? error.message : String(error);
      if (this.asked === asked) this.asked = { ...asked, revision: Number.NaN };
    }
  }
}

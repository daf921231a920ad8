import { batch, computed, signal } from '@preact/signals';
import { countsOf } from '../alerts/alerts.ts';
import type { Spot } from '../alerts/kinds.ts';
import type { Finding } from '../contract.ts';
import type { Tree } from '../model.ts';
import { type Group, groupsOf } from './groups.ts';
import { idOf, spotOf } from './spot.ts';

/** What the diagnosis says of a run, as of a revision of the run. */
export interface Diagnosed {
  readonly run: string;
  readonly stream: string;
  /** That findings name nodes of: the first stream's, of the run that has the rows. */
  readonly tree?: Tree;
  readonly revision: number;
  /** That there were by then: [first, end). */
  readonly steps: readonly [number, number];
  /** False where nobody looked while the run was recorded. */
  readonly recorded: boolean;
  readonly findings: readonly Finding[];
}

/** Names of what can be unfolded of a finding: its reasons, and the findings that it explains. */
export const reasonsOf = (finding: Finding) => `reasons ${finding.id}`;
export const followersOf = ({ root }: Group) => `followers ${root.id}`;

/** What is known of a run's diagnosis, and how much of it people have unfolded. */
export class Findings {
  /** The name of all hints, which can be unfolded as well. */
  readonly noticesFold: string;

  readonly found = signal<Diagnosed | null>(null);
  /** Why there is no newer diagnosis; the last one stays. */
  readonly problem = signal<string | null>(null);
  /** By name. */
  readonly unfolded = signal<ReadonlySet<string>>(new Set());

  readonly all = computed(() => this.found.value?.findings ?? []);
  private readonly groups = computed(() => groupsOf(this.all.value));
  /** All but hints that no alarm is made of. */
  readonly alarms = computed(() => this.groups.value.filter((group) => !isNotice(group)));
  readonly notices = computed(() => this.groups.value.filter(isNotice));
  readonly counts = computed(() => countsOf(this.all.value));

  /** What is marked and gone to. */
  readonly spots = computed<readonly Spot[]>(() => {
    const tree = this.found.value?.tree;
    if (tree === undefined) return [];
    return this.all.value
      .filter(({ severity }) => severity !== 'notice')
      .map((finding) => spotOf(finding, tree));
  });

  /** Of all that the arrow keys come to, in the order of the page: ids of findings, and names of folds. */
  readonly shown = computed<readonly string[]>(() => {
    const unfolded = this.unfolded.value;
    const inGroup = (group: Group) => [
      idOf(group.root),
      ...(group.followers.length > 0 ? [followersOf(group)] : []),
      ...(unfolded.has(followersOf(group)) ? group.followers.map(idOf) : []),
    ];
    return [
      ...this.alarms.value.flatMap(inGroup),
      ...(this.notices.value.length > 0 ? [this.noticesFold] : []),
      ...(unfolded.has(this.noticesFold) ? this.notices.value.flatMap(inGroup) : []),
    ];
  });

  /** `side` tells the findings of two runs apart. */
  constructor(side: 'A' | 'B' = 'A') {
    this.noticesFold = `notices ${side}`;
  }

  receive(found: Diagnosed): void {
    // Ids tell them apart; a file may hold anything.
    const byId = new Map(found.findings.toReversed().map((finding) => [finding.id, finding]));
    const findings = found.findings.filter((finding) => byId.get(finding.id) === finding);
    batch(() => {
      this.found.value = { ...found, findings };
      this.problem.value = null;
    });
  }

  forget(): void {
    batch(() => {
      this.found.value = null;
      this.problem.value = null;
      this.unfolded.value = new Set();
    });
  }

  unfold(name: string, wanted = !this.unfolded.peek().has(name)): void {
    const unfolded = new Set(this.unfolded.peek());
    if (wanted) unfolded.add(name);
    else unfolded.delete(name);
    this.unfolded.value = unfolded;
  }
  /** Unfolds the group that a finding stands in. */
  reveal(id: string): void {
    const group = this.alarms.peek().find(({ followers }) => followers.some((one) => idOf(one) === id));
    if (group !== undefined) this.unfold(followersOf(group), true);
  }
}

function isNotice({ root, followers }: Group): boolean {
  return [root, ...followers].every(({ severity }) => severity === 'notice');
}

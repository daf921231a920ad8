import type { ComponentChildren } from 'preact';
import { Chevron } from '../alerts/fold.tsx';
import type { Finding } from '../contract.ts';
import { formatCount } from '../format.ts';
import { Counts } from './counts.tsx';
import { FindingView } from './finding_view.tsx';
import { type Findings, followersOf, reasonsOf } from './findings.ts';
import type { Group } from './groups.ts';
import { idOf } from './spot.ts';

/** What a view of findings knows of the rail around it. */
export interface InRail {
  findings: Findings;
  /** What the Tab key comes to, and what was gone to last, by id. */
  entry: string | undefined;
  visited: string | null;
  enter: (id: string) => void;
  go: (finding: Finding) => void;
}

/** A finding, and folded below it those that it explains. */
export function GroupView(props: InRail & { group: Group }) {
  const { group, findings } = props;
  const { root, followers } = group;
  const name = followersOf(group);
  return (
    <li>
      <One {...props} finding={root} />
      {followers.length > 0 && (
        <Fold {...props} name={name} testId="followers-fold">
          explains {formatCount(followers.length)} more <Counts of={followers} />
        </Fold>
      )}
      {findings.unfolded.value.has(name) && (
        <ul class="followers">
          {followers.map((finding) => (
            <li key={finding.id}>
              <One {...props} finding={finding} />
            </li>
          ))}
        </ul>
      )}
    </li>
  );
}

function One({ findings, finding, entry, visited, enter, go }: InRail & { finding: Finding }) {
  const id = idOf(finding);
  return (
    <FindingView
      finding={finding}
      isEntry={id === entry}
      isCurrent={id === visited}
      isOpen={findings.unfolded.value.has(reasonsOf(finding))}
      enter={() => {
        enter(id);
      }}
      go={() => {
        go(finding);
      }}
      open={(wanted) => {
        findings.unfold(reasonsOf(finding), wanted);
      }}
    />
  );
}

interface FoldProps extends InRail {
  /** Of what it unfolds. */
  name: string;
  testId: string;
  children: ComponentChildren;
}

/** A line that unfolds what stands below it; the arrow keys come to it as well. */
export function Fold({ findings, entry, enter, name, testId, children }: FoldProps) {
  return (
    <button
      type="button"
      class="group-fold"
      data-testid={testId}
      tabIndex={name === entry ? 0 : -1}
      aria-expanded={findings.unfolded.value.has(name)}
      onFocus={() => {
        enter(name);
      }}
      onClick={() => {
        findings.unfold(name);
      }}
      onKeyDown={({ key }) => {
        if (key === 'ArrowRight' || key === 'ArrowLeft') findings.unfold(name, key === 'ArrowRight');
      }}
    >
      <Chevron /> {children}
    </button>
  );
}

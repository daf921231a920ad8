import { useState } from 'preact/hooks';
import { Icon } from '../alerts/toggle.tsx';
import { CopyLines } from '../copy_lines.tsx';
import { quoted } from '../export/shell.ts';
import { formatCount, formatSteps, plural, shortened } from '../format.ts';
import type { Findings } from './findings.ts';
import { Fold, GroupView, type InRail } from './group_view.tsx';
import { idOf } from './spot.ts';

/** Groups that are there at first, and that come with each wish for more. */
const PAGE = 50;

const SENTENCE_CHARACTERS = 300;

/** What the diagnosis says of a run: findings in groups, the gravest first, and hints below them. */
export function DiagnosisView(props: InRail) {
  const { findings, visited } = props;
  const [alarms, notices] = [findings.alarms.value, findings.notices.value];
  const [pages, setPages] = useState(1);
  const at = alarms.findIndex(({ root, followers }) =>
    [root, ...followers].some((one) => idOf(one) === visited),
  );
  const count = Math.max(pages * PAGE, at + 1);
  const more = alarms.length - count;
  return (
    <>
      <State findings={findings} />
      <ul class="findings">
        {alarms.slice(0, count).map((group) => (
          <GroupView key={group.root.id} {...props} group={group} />
        ))}
      </ul>
      {more > 0 && (
        <button
          type="button"
          class="more"
          data-testid="findings-more"
          onClick={() => {
            setPages(Math.ceil(count / PAGE) + 1);
          }}
        >
          Show {formatCount(Math.min(PAGE, more))} more
        </button>
      )}
      {notices.length > 0 && (
        <Fold {...props} name={findings.noticesFold} testId="notices-fold">
          {plural(notices.length, 'notice')} <Icon severity="notice" />
        </Fold>
      )}
      {findings.unfolded.value.has(findings.noticesFold) && (
        <ul class="findings">
          {notices.map((group) => (
            <GroupView key={group.root.id} {...props} group={group} />
          ))}
        </ul>
      )}
    </>
  );
}

/** Why there are no findings, or none that are up to date. */
function State({ findings }: { findings: Findings }) {
  const [found, problem] = [findings.found.value, findings.problem.value];
  if (problem !== null)
    return (
      <p class="quiet" role="status" data-testid="findings-problem">
        {found === null
          ? 'The diagnosis could not be loaded: '
          : 'This diagnosis is an older one, a newer could not be loaded: '}
        <bdi>{shortened(problem, SENTENCE_CHARACTERS)}</bdi>
      </p>
    );
  if (found === null) return <p class="quiet">Looking for findings…</p>;
  if (!found.recorded)
    return (
      <div class="not-diagnosed" data-testid="findings-none">
        <p>
          Recorded without diagnosis: with <code>diagnose=False</code>, or by an earlier version. With{' '}
          <code>GradHealthWriter(…, diagnose=True)</code>, the default, findings come while a run is recorded.
        </p>
        <p>What was recorded of this one can still be looked through:</p>
        <CopyLines text={`gradhealth report "$LOGDIR"/${quoted(found.run)}`} testId="copy-report" />
      </div>
    );
  if (findings.alarms.value.length > 0) return null;
  const hints = findings.all.value.length > 0 ? ' but hints that no alarm is made of' : '';
  return (
    <p data-testid="findings-empty">
      Nothing found in {formatSteps(...found.steps)}
      {hints}.
    </p>
  );
}

import { useId } from 'preact/hooks';
import { LOOKS } from '../alerts/kinds.ts';
import { Chevron } from '../alerts/fold.tsx';
import { Icon } from '../alerts/toggle.tsx';
import type { Finding } from '../contract.ts';
import { formatCount, formatSteps, shortened } from '../format.ts';

const SENTENCE_CHARACTERS = 300;
const WORD_CHARACTERS = 40;
const PATH_CHARACTERS = 56;

/** Longest text of a browser's own tooltip. */
const TITLE_CHARACTERS = 500;

/** Of evidence, causes and actions so many are told. */
const MOST_LINES = 12;

interface Props {
  finding: Finding;
  /** Whether it is what the Tab key comes to. */
  isEntry: boolean;
  /** Whether it was gone to last. */
  isCurrent: boolean;
  isOpen: boolean;
  enter: () => void;
  go: () => void;
  /** Shows or hides the reasons; without `wanted`, the other of the two. */
  open: (wanted?: boolean) => void;
}

/** A finding that goes to its cell at a press, and beside it what unfolds the reasons. */
export function FindingView({ finding, isEntry, isCurrent, isOpen, enter, go, open }: Props) {
  const id = useId();
  const { severity, type, name, steps } = finding;
  return (
    <>
      <div class="finding">
        <button
          type="button"
          class="alert"
          data-testid="finding"
          data-finding={finding.id}
          tabIndex={isEntry ? 0 : -1}
          aria-current={isCurrent}
          onFocus={enter}
          onClick={go}
          onKeyDown={({ key }) => {
            if (key === 'ArrowRight' || key === 'ArrowLeft') open(key === 'ArrowRight');
          }}
        >
          <Icon severity={severity} />
          <span class="grade">
            <b>{LOOKS[severity].word}</b> <bdi class="quiet">{shortened(type, WORD_CHARACTERS)}</bdi>
          </span>
          <span class="sentence">
            <bdi>{shortened(sentenceOf(finding), SENTENCE_CHARACTERS)}</bdi>
          </span>
          <span class="where" title={name.slice(0, TITLE_CHARACTERS)}>
            {formatSteps(...steps)} · <bdi>{nodeName(finding)}</bdi>
          </span>
        </button>
        <button
          type="button"
          class="reasons-toggle"
          data-testid="reasons-toggle"
          tabIndex={isEntry ? 0 : -1}
          aria-expanded={isOpen}
          aria-controls={id}
          aria-label={`Evidence, causes and what to do: ${LOOKS[severity].word}, ${nodeName(finding)}`}
          title="Evidence, causes, what to do"
          onFocus={enter}
          onClick={() => {
            open();
          }}
        >
          <Chevron />
        </button>
      </div>
      <div id={id} hidden={!isOpen}>
        {isOpen && <Reasons finding={finding} />}
      </div>
    </>
  );
}

/** What a finding says, without the type, the node and the steps that stand around it; the whole where it says none. */
export function sentenceOf({ text, type, detected }: Finding): string {
  const before = `, seen at step ${detected}: `;
  const at = text.startsWith(`${type} in `) ? text.indexOf(before) : -1;
  const rest = at < 0 ? text : text.slice(at + before.length);
  return rest.slice(0, 1).toUpperCase() + rest.slice(1);
}

export function nodeName({ name }: Finding): string {
  return name === '' ? 'the whole model' : shortened(name, PATH_CHARACTERS);
}

/** What a finding rests on, and what to make of it. */
function Reasons({ finding }: { finding: Finding }) {
  const { evidence, causes, actions, innocent, detected, rule } = finding;
  return (
    <div class="reasons" data-testid="reasons">
      <dl>
        <Lines title="Evidence" lines={evidence} />
        <Lines
          title={causes.length > 1 ? 'Causes, the likeliest first' : 'Likely cause'}
          lines={causes}
          ranked
        />
        <Lines title="What to do" lines={actions} />
        <Lines title="Why it may be normal" lines={[innocent]} />
      </dl>
      <p class="quiet">
        Seen at step {formatCount(detected)}, by the rule <bdi>{shortened(rule, WORD_CHARACTERS)}</bdi>
      </p>
    </div>
  );
}

function Lines({ title, lines, ranked }: { title: string; lines: readonly string[]; ranked?: boolean }) {
  const told = lines.filter((line) => line !== '').slice(0, MOST_LINES);
  if (told.length === 0) return null;
  const List = ranked === true && told.length > 1 ? 'ol' : 'ul';
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        <List class={told.length === 1 ? 'single' : undefined}>
          {told.map((line, i) => (
            <li key={i}>
              <bdi>{shortened(line, SENTENCE_CHARACTERS)}</bdi>
            </li>
          ))}
        </List>
      </dd>
    </div>
  );
}

import { useState } from 'preact/hooks';
import type { Alert, Severity } from '../contract.ts';
import { formatCount, formatSteps, shortened } from '../format.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import type { Alerts } from './alerts.ts';
import { LOOKS, SEVERITIES } from './kinds.ts';
import { KINDS } from './looked_for.ts';
import { Icon } from './toggle.tsx';
import { metricToShow, visit } from './visit.ts';

/** Alerts of a severity that are there at first, and that come with each wish for more. */
const PAGE = 100;

const SENTENCE_CHARACTERS = 300;
const PATH_CHARACTERS = 56;

/** Longest text of a browser's own tooltip. */
const TITLE_CHARACTERS = 500;

interface Props {
  store: Store;
  pointing: Pointing;
  alerts: Alerts;
  /** What the Tab key comes to, and what was gone to last, by id. */
  entry: string | undefined;
  visited: string | null;
  enter: (id: string) => void;
}

/** Alerts under their severities, the gravest first. */
export function AlertList({ store, pointing, alerts, entry, visited, enter }: Props) {
  const listed = alerts.listed.value;
  return (
    <>
      <Chips alerts={alerts} />
      <State store={store} alerts={alerts} />
      {SEVERITIES.map((severity) => (
        <Section
          key={severity}
          severity={severity}
          listed={listed.filter((alert) => alert.severity === severity)}
          item={(alert) => (
            <Item
              key={alert.id}
              store={store}
              alerts={alerts}
              alert={alert}
              isEntry={alert.id === entry}
              isCurrent={alert.id === visited}
              enter={() => {
                enter(alert.id);
              }}
              go={() => {
                visit(store, pointing, alerts, alert, alert.text);
              }}
            />
          )}
          atLeast={visited}
        />
      ))}
      {alerts.found.value?.complete === false && (
        <p class="quiet">There are more; these are the gravest {formatCount(alerts.all.value.length)}.</p>
      )}
    </>
  );
}

function Chips({ alerts }: { alerts: Alerts }) {
  return (
    <div class="chips" role="group" aria-label="Severities that are listed and marked">
      {SEVERITIES.map((severity) => (
        <button
          key={severity}
          type="button"
          class="chip"
          data-testid={`chip-${severity}`}
          aria-pressed={alerts.shown.value.has(severity)}
          onClick={() => {
            alerts.toggleSeverity(severity);
          }}
        >
          <Icon severity={severity} />
          {LOOKS[severity].word} {formatCount(alerts.counts.value[severity])}
        </button>
      ))}
    </div>
  );
}

/** Why there is no list, or none that is up to date. */
function State({ store, alerts }: { store: Store; alerts: Alerts }) {
  const [found, problem, meta] = [alerts.found.value, alerts.problem.value, store.meta.value];
  if (problem !== null)
    return (
      <p class="quiet" role="status" data-testid="alerts-problem">
        {found === null
          ? 'The alerts could not be loaded: '
          : 'The list is an older one, a newer could not be loaded: '}
        <bdi>{shortened(problem, SENTENCE_CHARACTERS)}</bdi>
      </p>
    );
  if (found === null || meta === null) return <p class="quiet">Looking through the run…</p>;
  if (found.alerts.length > 0)
    return alerts.listed.value.length > 0 ? null : <p class="quiet">None of the chosen severities.</p>;
  return (
    <div data-testid="alerts-empty">
      <p>Nothing found in {formatSteps(...meta.steps)}. Looked for:</p>
      <dl>
        {KINDS.map(({ kind, label, meaning }) => (
          <div key={kind}>
            <dt>{label}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

interface SectionProps {
  severity: Severity;
  listed: readonly Alert[];
  item: (alert: Alert) => preact.JSX.Element;
  /** The id of an alert that is there however far down it stands. */
  atLeast: string | null;
}

function Section({ severity, listed, item, atLeast }: SectionProps) {
  const [pages, setPages] = useState(1);
  if (listed.length === 0) return null;
  const count = Math.max(pages * PAGE, listed.findIndex(({ id }) => id === atLeast) + 1);
  const more = listed.length - count;
  return (
    <section aria-labelledby={`alerts-${severity}`}>
      <h3 id={`alerts-${severity}`}>
        <Icon severity={severity} /> {LOOKS[severity].word}{' '}
        <span class="quiet">{formatCount(listed.length)}</span>
      </h3>
      <ul>
        {listed.slice(0, count).map((alert) => (
          <li key={alert.id}>{item(alert)}</li>
        ))}
      </ul>
      {more > 0 && (
        <button
          type="button"
          data-testid="alerts-more"
          onClick={() => {
            setPages(Math.ceil(count / PAGE) + 1);
          }}
        >
          Show {formatCount(Math.min(PAGE, more))} more
        </button>
      )}
    </section>
  );
}

interface ItemProps {
  store: Store;
  alerts: Alerts;
  alert: Alert;
  isEntry: boolean;
  isCurrent: boolean;
  enter: () => void;
  go: () => void;
}

function Item({ store, alerts, alert, isEntry, isCurrent, enter, go }: ItemProps) {
  const path = alerts.pathOf(alert);
  const other = alerts.areOf(store.stream.value) ? metricToShow(store, alert) : store.meta.value?.streams[0];
  return (
    <button
      type="button"
      class="alert"
      data-testid="alert"
      data-alert={alert.id}
      tabIndex={isEntry ? 0 : -1}
      aria-current={isCurrent}
      onFocus={enter}
      onClick={go}
    >
      <Icon severity={alert.severity} />
      <span class="visually-hidden">{LOOKS[alert.severity].word}: </span>
      <span class="sentence">
        <bdi>{shortened(alert.text, SENTENCE_CHARACTERS)}</bdi>
      </span>
      <span class="where" title={path.slice(0, TITLE_CHARACTERS)}>
        {formatSteps(...alert.steps)} · <bdi>{shortened(path, PATH_CHARACTERS)}</bdi>
        {other != null && (
          <>
            {' '}
            · switches to <bdi>{other.label}</bdi>
          </>
        )}
      </span>
    </button>
  );
}

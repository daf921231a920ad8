import { useEffect, useRef, useState } from 'preact/hooks';
import type { Finding } from '../contract.ts';
import { Counts } from '../findings/counts.tsx';
import { DiagnosisView } from '../findings/diagnosis_view.tsx';
import { spotOf } from '../findings/spot.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import { AlertList } from './alert_list.tsx';
import type { Alerts } from './alerts.ts';
import { Part, useFold } from './fold.tsx';
import { visit } from './visit.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  alerts: Alerts;
}

/**
 * What was found in the run's first stream, by the diagnosis and by alerts, the gravest first. All of it is one stop for
 * the Tab key; arrows go from one to the next.
 */
export function AlertRail({ store, pointing, alerts }: Props) {
  const [entry, setEntry] = useState<string | null>(null);
  const diagnosisFold = useFold('gradhealth.rail.diagnosis');
  const besideFold = useFold('gradhealth.rail.beside');
  const alertsFold = useFold('gradhealth.rail.alerts');
  const list = useRef<HTMLDivElement>(null);
  const [open, visited] = [alerts.open.value, alerts.visited.value?.id ?? null];
  const [findings, beside] = [alerts.findings.value, alerts.beside.value];
  useEffect(() => {
    list.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'nearest' });
  }, [visited, open]);
  if (!open) return null;
  const ids = [
    ...(diagnosisFold[0] ? (findings?.shown.value ?? []) : []),
    ...(besideFold[0] ? (beside?.shown.value ?? []) : []),
    ...(alertsFold[0] ? alerts.listed.value.map(({ id }) => id) : []),
  ];
  const entered = ids.find((id) => id === entry) ?? ids[0];
  const inRail = { entry: entered, visited, enter: setEntry };
  const goTo = (finding: Finding, told: string) => {
    const tree = alerts.source.value?.tree;
    if (tree !== undefined) visit(store, pointing, alerts, spotOf(finding, tree), told);
  };
  return (
    <aside
      class="alert-rail"
      id="alert-rail"
      aria-label="Diagnosis and alerts"
      data-testid="alert-rail"
      onKeyDown={(event) => {
        if (event.key === 'Escape') close(alerts);
        else if (step(list.current, event.target, event.key)) event.preventDefault();
      }}
    >
      <RailHead alerts={alerts} />
      <div class="alert-list" ref={list}>
        {findings !== null && (
          <Part
            id="diagnosis"
            title={beside === null ? 'Diagnosis' : 'Diagnosis of A'}
            fold={diagnosisFold}
            counts={<Counts of={findings.all.value} />}
          >
            <DiagnosisView
              findings={findings}
              {...inRail}
              go={(finding) => {
                goTo(finding, finding.text);
              }}
            />
          </Part>
        )}
        {beside !== null && (
          <Part
            id="beside"
            title="Diagnosis of B"
            fold={besideFold}
            counts={<Counts of={beside.all.value} />}
          >
            <DiagnosisView
              findings={beside}
              {...inRail}
              go={(finding) => {
                goTo(finding, `In run B: ${finding.text}`);
              }}
            />
          </Part>
        )}
        <Part
          id="alerts"
          title={beside === null ? 'Alerts' : 'Alerts of A'}
          fold={alertsFold}
          counts={!alertsFold[0] && <Counts of={alerts.all.value} />}
        >
          <AlertList {...inRail} store={store} pointing={pointing} alerts={alerts} />
        </Part>
      </div>
    </aside>
  );
}

/** The focus would be lost with the rail. */
function close(alerts: Alerts): void {
  alerts.toggle();
  document.querySelector<HTMLElement>('[data-testid=alerts-toggle]')?.focus();
}

function RailHead({ alerts }: { alerts: Alerts }) {
  return (
    <div class="rail-head">
      <label class="marks-toggle">
        <input
          type="checkbox"
          data-testid="alert-marks-toggle"
          checked={alerts.marksShown.value}
          onChange={(event) => {
            alerts.marksShown.value = event.currentTarget.checked;
          }}
        />
        Marks on the heatmap
      </label>
      <button
        type="button"
        aria-label="Close diagnosis and alerts"
        data-testid="alerts-close"
        onClick={() => {
          close(alerts);
        }}
      >
        ✕
      </button>
    </div>
  );
}

/** Moves the focus from one to the next; whether the key meant that. */
function step(list: HTMLElement | null, target: EventTarget | null, key: string): boolean {
  const all = [...(list?.querySelectorAll<HTMLElement>('.alert, .group-fold') ?? [])];
  const at = all.indexOf(target as HTMLElement);
  if (at < 0) return false;
  const targets: Record<string, HTMLElement | undefined> = {
    ArrowUp: all[at - 1],
    ArrowDown: all[at + 1],
    Home: all[0],
    End: all.at(-1),
  };
  if (!(key in targets)) return false;
  targets[key]?.focus();
  return true;
}

import type { RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Api } from './api.ts';
import type { Alerts } from './alerts/alerts.ts';
import { MarkTold, alertWords, alertsPointedAt } from './alerts/mark_told.tsx';
import { marksInView } from './alerts/marks_view.tsx';
import { BesideTooltip, ToldFirst, ValueBeside, besideWords } from './compare.tsx';
import type { Drill } from './drill/drill.ts';
import { Figures } from './figures.ts';
import type { LinkedRun } from './linked.ts';
import type { Pointed, Pointing } from './pointing.ts';
import type { Store } from './store.ts';
import { Tooltip } from './tooltip.tsx';

interface Props {
  store: Store;
  api: Api;
  pointing: Pointing;
  linked: LinkedRun;
  drill: Drill;
  alerts: Alerts;
  /** The second run's heatmap. */
  second: RefObject<HTMLDivElement | null>;
}

/** What is told of the cell that is pointed at, of both runs where there are two. */
export function Tips({ store, api, pointing, linked, drill, alerts, second }: Props) {
  const figures = useMemo(() => new Figures(api, store), [api, store]);
  const marks = marksInView(store, alerts);
  // Marks stand on the first heatmap alone.
  const marked = (pointed: Pointed) =>
    linked.pointed.value ? [] : alertsPointedAt(store, marks.value, pointed);
  const beside = {
    above: (pointed: Pointed) => <ToldFirst store={store} linked={linked} pointed={pointed} />,
    view: (pointed: Pointed) => (
      <>
        <MarkTold store={store} alerts={marked(pointed)} />
        {!linked.pointed.value && <ValueBeside store={store} linked={linked} pointed={pointed} />}
      </>
    ),
    words: (pointed: Pointed) =>
      [alertWords(marked(pointed)), besideWords(store, linked, pointed)].filter(Boolean).join('. '),
  };
  return (
    <>
      <Tooltip
        {...{ store, pointing, figures, beside }}
        beneath={linked.pointed.value ? second : undefined}
        atCursor={!drill.open.value}
      />
      {linked.name.value !== null && <BesideTooltip {...{ store, linked, pointing, second }} />}
    </>
  );
}

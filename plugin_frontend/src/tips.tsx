import type { RefObject } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Api } from './api.ts';
import { BesideTooltip, ValueBeside, besideWords } from './compare.tsx';
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
  /** The heatmaps. */
  first: RefObject<HTMLDivElement | null>;
  second: RefObject<HTMLDivElement | null>;
}

/** What is told of the cell that is pointed at, of both runs where there are two. */
export function Tips({ store, api, pointing, linked, drill, first, second }: Props) {
  const figures = useMemo(() => new Figures(api, store), [api, store]);
  const beside = {
    view: (pointed: Pointed) => <ValueBeside store={store} linked={linked} pointed={pointed} />,
    words: (pointed: Pointed) => besideWords(store, linked, pointed),
  };
  return (
    <>
      <Tooltip
        {...{ store, pointing, figures, beside }}
        heatmap={linked.pointed.value ? second : first}
        atCursor={!drill.open.value}
      />
      {linked.name.value !== null && <BesideTooltip {...{ store, linked, pointing, first, second }} />}
    </>
  );
}

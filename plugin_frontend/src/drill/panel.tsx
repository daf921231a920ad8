import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { formatSteps, px, shortened } from '../format.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import { GUTTER_CSS_PX } from './looks.ts';
import { ChartView } from './chart_view.tsx';
import type { Drill, DrillPicture } from './drill.ts';
import type { ExponentFeed } from './exponent_feed.ts';
import { ExponentView } from './exponent_view.tsx';
import type { LineFeed } from './line_feed.ts';
import { PinList } from './pin_list.tsx';
import { MOST_PINS } from './pins.ts';
import type { RowFeed } from './row_feed.ts';
import { RowTable } from './row_table.tsx';
import { Separator } from './separator.tsx';
import { Switch } from './switch.tsx';

const NAME_CHARACTERS = 200;
const RUN_CHARACTERS = 60;
const ID = 'drill-down';

/** Words and figures need this much beside the chart, which begins where the heatmap does; else they stand below. */
const WORDS_CSS_PX = 264;

export interface DrillViews {
  drill: Drill;
  lines: LineFeed;
  rows: RowFeed;
  exponents: ExponentFeed;
}

interface Props extends DrillViews {
  store: Store;
  pointing: Pointing;
  theme: { readonly value: Theme };
  heatmap: RefObject<HTMLElement | null>;
}

/** What is behind the cursor's cell: its line over the steps in view, and its row in exact figures. */
export function DrillPanel(props: Props) {
  return props.drill.open.value ? <Opened {...props} /> : null;
}

function Opened({ store, pointing, drill, lines, rows, exponents, theme, heatmap }: Props) {
  const region = useRef<HTMLElement>(null);
  const wantsFocus = drill.wantsFocus.value;
  useEffect(() => {
    if (!wantsFocus) return;
    region.current?.focus();
    drill.wantsFocus.value = false;
  }, [wantsFocus, drill]);
  useEffect(() => {
    // On a low page the panel is below what is in view.
    region.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  const close = () => {
    const inside = region.current?.contains(document.activeElement) === true;
    drill.close();
    if (inside) heatmap.current?.querySelector('canvas')?.focus();
  };
  return (
    <section
      ref={region}
      id={ID}
      class={store.leftCssPx.value - GUTTER_CSS_PX < WORDS_CSS_PX ? 'drill stacked' : 'drill'}
      data-testid="drill"
      role="region"
      aria-label={labelOf(store, drill)}
      tabIndex={-1}
      style={{
        height: drill.cssHeight.value,
        '--left': px(store.leftCssPx.value),
        '--gutter': px(GUTTER_CSS_PX),
        '--width': px(store.size.value.widthDevicePx / store.size.value.devicePixelRatio),
      }}
      onKeyDown={(event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === 'Escape') close();
        else if (event.key === 'p' || event.key === 'P') drill.togglePin();
        else return;
        event.preventDefault();
      }}
    >
      <Separator drill={drill} controls={ID} />
      <Head store={store} drill={drill} close={close} />
      <div class="drill-body">
        <div class="drill-words" tabIndex={0} role="group" aria-label="Lines and exact figures">
          <PinList store={store} pointing={pointing} drill={drill} feed={lines} />
          <RowTable store={store} drill={drill} feed={rows} />
        </div>
        {drill.picture.value === 'lines' ? (
          <ChartView store={store} pointing={pointing} drill={drill} feed={lines} theme={theme} />
        ) : (
          <ExponentView drill={drill} feed={exponents} />
        )}
      </div>
    </section>
  );
}

function pathOf(drill: Drill): string {
  const cell = drill.cell.value;
  if (cell === null) return 'no cell';
  const name = drill.subject.value.tree.value?.names[cell.node] ?? '';
  return name === '' ? 'All tensors' : name;
}

function labelOf(store: Store, drill: Drill): string {
  const run = drill.beside.value === null ? '' : `run ${letterOf(store, drill)}, `;
  const steps = drill.cell.value?.steps;
  const where = steps === undefined ? '' : `, ${formatSteps(...steps)}`;
  return `Drill-down: ${run}${shortened(pathOf(drill), NAME_CHARACTERS)}${where}`;
}

function Head({ store, drill, close }: { store: Store; drill: Drill; close: () => void }) {
  const [cell, pins] = [drill.cell.value, drill.pins.value];
  const pinned = pins.some(({ key }) => key === cell?.key);
  const full = pins.length >= MOST_PINS && !pinned;
  return (
    <header class="drill-head">
      {drill.beside.value !== null && <RunSwitch store={store} drill={drill} />}
      <h2>
        <bdi data-testid="drill-path">{shortened(pathOf(drill), NAME_CHARACTERS)}</bdi>
      </h2>
      <span class="quiet">{cell !== null && formatSteps(...cell.steps)}</span>
      <button
        type="button"
        data-testid="pin"
        aria-pressed={pinned}
        aria-disabled={full}
        title={full ? `At most ${MOST_PINS} tensors can be pinned` : 'Keep this tensor in the chart: P'}
        onClick={() => {
          drill.togglePin();
        }}
      >
        {pinned ? 'Pinned' : 'Pin'}
      </button>
      {drill.hasExponents.value && <PictureSwitch drill={drill} />}
      <ScaleSwitch drill={drill} />
      <button
        type="button"
        class="icon close"
        data-testid="close-drill"
        aria-label="Close the drill-down"
        title="Close: Esc"
        onClick={close}
      >
        ×
      </button>
    </header>
  );
}

function letterOf(store: Store, drill: Drill): 'A' | 'B' {
  return drill.subject.value === store ? 'A' : 'B';
}

/** Of two runs, the one whose figures these are, by its name. */
function RunSwitch({ store, drill }: { store: Store; drill: Drill }) {
  const chosen = letterOf(store, drill);
  const label = drill.subject.value.meta.value?.label ?? '';
  return (
    <>
      <Switch
        label="Run of these figures"
        testId="drill-run"
        options={[
          { name: 'A', label: 'A' },
          { name: 'B', label: 'B' },
        ]}
        chosen={chosen}
        choose={(letter) => {
          drill.second.value = letter === 'B';
        }}
      />
      <bdi class="drill-run-name" data-testid="drill-run-name" title={label.slice(0, 500)}>
        {shortened(label, RUN_CHARACTERS)}
      </bdi>
    </>
  );
}

const PICTURES: readonly { name: DrillPicture; label: string; title: string }[] = [
  { name: 'lines', label: 'over steps', title: 'The metric over the steps in view' },
  { name: 'exponents', label: 'exponents', title: 'How large the elements are at the cursor’s step' },
];

function PictureSwitch({ drill }: { drill: Drill }) {
  return (
    <Switch
      label="What is shown"
      testId="drill-picture"
      options={PICTURES}
      chosen={drill.picture.value}
      choose={(name) => {
        drill.ownPicture.value = name;
      }}
    />
  );
}

/** Of what is shown: values over steps, or shares of elements. */
function ScaleSwitch({ drill }: { drill: Drill }) {
  const shares = drill.picture.value === 'exponents';
  return (
    <Switch
      label={shares ? 'Scale of the shares' : 'Scale of the chart'}
      testId="drill-scale"
      options={[
        { name: 'log', label: !shares && drill.signed.value ? 'symlog' : 'log' },
        { name: 'linear', label: 'linear' },
      ]}
      chosen={shares ? drill.shareScale.value : drill.scaleName.value}
      choose={(name) => {
        (shares ? drill.shareScale : drill.ownScale).value = name;
      }}
    />
  );
}

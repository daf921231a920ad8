import type { ComponentChildren, TargetedEvent } from 'preact';
import { COLOUR_MAPS_OF, type ColourMap } from './colours.ts';
import type { ScaleName } from './contract.ts';
import { shortened } from './format.ts';
import { byGroup } from './metric_groups.ts';
import { LABEL_CHARACTERS } from './run_matching.ts';
import { RunPicker } from './run_picker.tsx';
import type { Store } from './store.ts';

/** What is shown and how; `children` are the actions at its end. */
export function Toolbar({ store, children }: { store: Store; children?: ComponentChildren }) {
  const [meta, metric] = [store.meta.value, store.metric.value];
  const shown = store.screen.value === 'heatmap' && meta !== null && metric !== null;
  return (
    <div class="toolbar" role="group" aria-label="What the heatmap shows">
      {(store.runs.value ?? []).length > 0 && (
        <RunPicker
          label="Run"
          testId="run-picker"
          runs={store.runs.value ?? []}
          selected={store.runName.value}
          choose={(name) => {
            store.chooseRun(name);
          }}
        />
      )}
      {shown && (
        <>
          {meta.streams.length > 1 && (
            <Choice
              label="Stream"
              testId="stream"
              options={meta.streams.map(({ name, label, sampled }) => ({
                name,
                label: shortened(label, LABEL_CHARACTERS) + (sampled ? ' · sampled' : ''),
              }))}
              value={store.nextStream.value?.name ?? ''}
              choose={(name) => {
                store.chooseStream(name);
              }}
            />
          )}
          <Choice
            label="Metric"
            testId="metric"
            options={meta.metrics.map(({ name, label, meaning, group }) => ({
              ...{ name, label, group },
              title: meaning,
            }))}
            value={metric.name}
            title={metric.meaning}
            choose={(name) => {
              store.chooseMetric(name);
            }}
          />
          <Choice
            label="Show"
            terse
            testId="view"
            options={meta.views}
            value={store.view.value?.name ?? ''}
            choose={(name) => {
              store.chooseView(name);
            }}
          />
          <ScaleSwitch store={store} />
          <Choice
            label="Colours"
            terse
            testId="colours"
            options={COLOUR_MAPS_OF[store.colourFamily.value]}
            value={store.colourMap.value}
            choose={(name) => {
              store.chooseColourMap(name as ColourMap);
            }}
          />
        </>
      )}
      <div class="actions" role="group" aria-label="Actions">
        {children}
      </div>
    </div>
  );
}

interface Option {
  name: string;
  label: string;
  title?: string;
  group?: string;
}

interface ChoiceProps {
  label: string;
  testId: string;
  options: readonly Option[];
  value: string;
  title?: string;
  /** The label goes where there is little room: what is chosen tells what it is. */
  terse?: boolean;
  choose: (name: string) => void;
}

function Choice({ label, testId, options, value, title = label, terse = false, choose }: ChoiceProps) {
  const groups = byGroup(options.map((option) => ({ group: '', ...option })));
  const items = (some: readonly Option[]) =>
    some.map((option) => (
      <option key={option.name} value={option.name} selected={option.name === value} title={option.title}>
        {shortened(option.label, LABEL_CHARACTERS)}
      </option>
    ));
  return (
    <label class={terse ? 'field' : 'field wide'} title={title}>
      <span class={terse ? 'terse' : undefined}>{label}</span>
      <select data-testid={testId} aria-label={label} value={value} onChange={chosen(choose)}>
        {groups.size < 2
          ? items(options)
          : [...groups].map(([group, some]) => (
              <optgroup key={group} label={shortened(group, LABEL_CHARACTERS)}>
                {items(some)}
              </optgroup>
            ))}
      </select>
    </label>
  );
}

function chosen(choose: (name: string) => void) {
  return (event: TargetedEvent<HTMLSelectElement>) => {
    choose(event.currentTarget.value);
  };
}

const SCALES: readonly { name: ScaleName; label: string; title?: string }[] = [
  { name: 'log', label: 'log' },
  { name: 'linear', label: 'linear' },
  { name: 'diverging', label: '±', title: 'Diverging: from a centre both ways' },
];

function ScaleSwitch({ store }: { store: Store }) {
  return (
    <div class="field" role="radiogroup" aria-label="Colour scale" data-testid="scale">
      <span class="terse" aria-hidden="true">
        Scale
      </span>
      <span class="segments">
        {SCALES.map(({ name, label, title }) => (
          <label key={name} title={title}>
            <input
              type="radio"
              name="scale"
              value={name}
              aria-label={name}
              checked={store.scaleName.value === name}
              onChange={() => {
                store.chooseScale(name);
              }}
            />
            <span>{label}</span>
          </label>
        ))}
      </span>
    </div>
  );
}

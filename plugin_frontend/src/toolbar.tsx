import type { ComponentChildren, TargetedEvent } from 'preact';
import { COLOUR_MAPS_OF, type ColourMap } from './colours.ts';
import type { ScaleName } from './contract.ts';
import { shortened } from './format.ts';
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
            options={meta.metrics.map(({ name, label, meaning }) => ({ name, label, title: meaning }))}
            value={metric.name}
            title={metric.meaning}
            choose={(name) => {
              store.chooseMetric(name);
            }}
          />
          <Choice
            label="Show"
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

interface ChoiceProps {
  label: string;
  testId: string;
  options: readonly { name: string; label: string; title?: string }[];
  value: string;
  title?: string;
  choose: (name: string) => void;
}

function Choice({ label, testId, options, value, title, choose }: ChoiceProps) {
  return (
    <label class="field" title={title}>
      <span>{label}</span>
      <select data-testid={testId} value={value} onChange={chosen(choose)}>
        {options.map((option) => (
          <option key={option.name} value={option.name} selected={option.name === value} title={option.title}>
            {shortened(option.label, LABEL_CHARACTERS)}
          </option>
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

function ScaleSwitch({ store }: { store: Store }) {
  const names: ScaleName[] = ['log', 'linear', 'diverging'];
  return (
    <div class="field" role="radiogroup" aria-label="Colour scale" data-testid="scale">
      <span aria-hidden="true">Scale</span>
      <span class="segments">
        {names.map((name) => (
          <label key={name}>
            <input
              type="radio"
              name="scale"
              value={name}
              checked={store.scaleName.value === name}
              onChange={() => {
                store.chooseScale(name);
              }}
            />
            <span>{name}</span>
          </label>
        ))}
      </span>
    </div>
  );
}

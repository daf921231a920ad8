import type { ComponentChildren, TargetedEvent } from 'preact';
import { useState } from 'preact/hooks';
import { COLOUR_MAPS_OF, type ColourMap, colourFamily } from './colours.ts';
import type { Run, ScaleName } from './contract.ts';
import { shortened } from './format.ts';
import type { Store } from './store.ts';

/** With more runs than this, finding one by eye takes longer than typing a part of its name. */
const RUNS_WITHOUT_FILTER = 8;

/** A select grows with its longest option. */
const LABEL_CHARACTERS = 60;

const GROUPS: readonly { status: Run['status']; label: string; suffix: string }[] = [
  { status: 'ok', label: 'Grad Health runs', suffix: '' },
  { status: 'waiting', label: 'Waiting for the first row', suffix: ' (waiting)' },
  { status: 'unreadable', label: 'Cannot be read', suffix: ' (unreadable)' },
  { status: 'none', label: 'No Grad Health data', suffix: ' (no data)' },
];

/** Its children are actions, at its right end. */
export function Toolbar({ store, children }: { store: Store; children?: ComponentChildren }) {
  const [meta, metric] = [store.meta.value, store.metric.value];
  const shown = store.screen.value === 'heatmap' && meta !== null && metric !== null;
  return (
    <div class="toolbar" role="group" aria-label="What the heatmap shows">
      <RunPicker store={store} />
      {shown && (
        <>
          {meta.streams.length > 1 && (
            <Choice
              label="Stream"
              testId="stream"
              options={meta.streams}
              value={store.stream.value?.name ?? ''}
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
            options={COLOUR_MAPS_OF[colourFamily(metric.kind)]}
            value={store.colourMap.value}
            choose={(name) => {
              store.chooseColourMap(name as ColourMap);
            }}
          />
        </>
      )}
      <div class="actions">{children}</div>
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
  const names: ScaleName[] = ['log', 'linear'];
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

function RunPicker({ store }: { store: Store }) {
  const [filter, setFilter] = useState('');
  const [runs, selected] = [store.runs.value ?? [], store.runName.value ?? ''];
  if (runs.length === 0) return null;
  const wanted = filter.trim().toLowerCase();
  const matches = runs.filter((run) => run.name === selected || run.label.toLowerCase().includes(wanted));
  return (
    <span class="field">
      <label class="field">
        <span>Run</span>
        <select
          class="run-picker"
          data-testid="run-picker"
          value={selected}
          title={selected.slice(0, 500)}
          onChange={chosen((name) => {
            store.chooseRun(name);
          })}
        >
          {store.run.value === null && (
            <option value={selected}>{shortened(selected, LABEL_CHARACTERS)} (gone)</option>
          )}
          {GROUPS.map((group) => (
            <RunGroup
              key={group.status}
              {...group}
              runs={matches.filter((run) => run.status === group.status)}
              selected={selected}
            />
          ))}
        </select>
      </label>
      {runs.length > RUNS_WITHOUT_FILTER && (
        <input
          type="search"
          class="run-filter"
          data-testid="run-filter"
          placeholder="Filter runs"
          aria-label="Filter runs"
          value={filter}
          onInput={(event) => {
            setFilter(event.currentTarget.value);
          }}
        />
      )}
    </span>
  );
}

interface RunGroupProps {
  label: string;
  suffix: string;
  runs: readonly Run[];
  selected: string;
}

function RunGroup({ label, suffix, runs, selected }: RunGroupProps) {
  if (runs.length === 0) return null;
  return (
    <optgroup label={label}>
      {runs.map((run) => (
        <option key={run.name} value={run.name} selected={run.name === selected}>
          {shortened(run.label, LABEL_CHARACTERS) + suffix}
        </option>
      ))}
    </optgroup>
  );
}

import type { NumberFormat } from '../contract.ts';
import { shortened } from '../format.ts';
import {
  type ExponentAxis,
  type Fate,
  type Part,
  laneOf,
  percent,
  powerAloud,
  rangeWords,
  sharesOf,
} from './exponent_scale.ts';

const NAME_CHARACTERS = 40;

const FATES: readonly { fate: Fate; label: string; title: string }[] = [
  { fate: 'zero', label: 'to zero', title: 'A cast rounds it to zero' },
  { fate: 'subnormal', label: 'subnormal', title: 'Below the smallest normal number: less precise' },
  { fate: 'normal', label: 'normal', title: 'Held in full precision' },
  {
    fate: 'overflow',
    label: 'overflow',
    title: 'Too large; counted from the power of two that follows the largest number on',
  },
];

interface Props {
  formats: readonly NumberFormat[];
  axis: ExponentAxis;
  /** The bin that is read out. */
  at: Part | null;
}

/** A lane below the histogram for each number format, with the shares of the elements that it does not hold well. */
export function FormatTable({ formats, axis, at }: Props) {
  if (formats.length === 0) return null;
  return (
    <table class="formats" data-testid="formats">
      <caption class="visually-hidden">
        Share of the elements that a cast to other number formats loses
      </caption>
      <thead>
        <tr>
          <th scope="col">
            <span class="visually-hidden">Format</span>
          </th>
          <th scope="col" class="fates">
            {FATES.map(({ fate, label, title }) => (
              <span key={fate} title={title}>
                <i class={`fate is-${fate}`} />
                {label}
              </span>
            ))}
          </th>
          {FATES.filter(({ fate }) => fate !== 'normal').map(({ fate, label, title }) => (
            <th key={fate} scope="col" title={title}>
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {formats.map((format) => (
          <Lane key={format.name} format={format} axis={axis} at={at} />
        ))}
      </tbody>
    </table>
  );
}

function Lane({ format, axis, at }: { format: NumberFormat; axis: ExponentAxis; at: Part | null }) {
  const shares = sharesOf(format);
  return (
    <tr data-format={format.name}>
      <th scope="row" title={`${shortened(format.name, NAME_CHARACTERS)}: ${rangeWords(format)}`}>
        {shortened(format.label, NAME_CHARACTERS)}
      </th>
      <td class="lane">
        <span class="visually-hidden">{rangeWords(format, powerAloud)}</span>
        {laneOf(format, axis).map(({ fate, from, to }) => (
          <i key={fate} class={`fate is-${fate}`} style={placed({ from, to })} />
        ))}
        {at !== null && <i class="lane-at" style={placed(at)} />}
      </td>
      {(['zero', 'subnormal', 'overflow'] as const).map((fate) => (
        <td key={fate} data-fate={fate} title={String(shares[fate])} class={shares[fate] > 0 ? 'some' : ''}>
          {percent(shares[fate])}
        </td>
      ))}
    </tr>
  );
}

function placed({ from, to }: Part): { left: string; width: string } {
  return { left: `${from * 100}%`, width: `${(to - from) * 100}%` };
}

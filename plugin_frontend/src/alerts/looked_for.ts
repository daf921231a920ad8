/** What the backend looks for; a kind that is not in this table is shown by its sentence all the same. */
export const KINDS: readonly { kind: string; label: string; meaning: string }[] = [
  { kind: 'nan', label: 'NaN', meaning: 'elements that are no number' },
  { kind: 'pos_inf', label: '+Inf', meaning: 'elements that overflowed upwards' },
  { kind: 'neg_inf', label: '−Inf', meaning: 'elements that overflowed downwards' },
  { kind: 'no_gradient', label: 'No gradient', meaning: 'a tensor that no gradient reached for a while' },
  {
    kind: 'near_zero',
    label: 'Near zero',
    meaning: 'a gradient of which nearly every element is too small to matter',
  },
  { kind: 'saturated', label: 'Saturated', meaning: 'elements about to overflow their type' },
  { kind: 'spike', label: 'Spike', meaning: 'a norm many times its median over the run' },
  {
    kind: 'gaps',
    label: 'Gaps',
    meaning: 'a tensor that a gradient reached in some steps and not in others',
  },
];

/** Drawn in strokes of 1.5 within 16 × 16. */
const SHAPES = {
  compare: 'M2 3h5v10H2zM9 3h5v10H9z',
  export: 'M8 2v8M5 7l3 3 3-3M2 10v4h12v-4',
  link: 'M7 9a3 3 0 0 0 4 0l2-2a3 3 0 0 0-4-4L8 4M9 7a3 3 0 0 0-4 0L3 9a3 3 0 0 0 4 4l1-1',
};

/** Instead of a word on a button, which has the word as its label. */
export function ActionIcon({ name }: { name: keyof typeof SHAPES }) {
  return (
    <svg class="action-icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={SHAPES[name]} />
    </svg>
  );
}

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { remembered } from './remembered.ts';

/** Whether a part of the rail is unfolded, which the browser remembers, and what turns that. */
export function useFold(key: string): readonly [boolean, () => void] {
  const memory = remembered(key);
  const [open, setOpen] = useState(() => memory.read() !== 'closed');
  const toggle = () => {
    memory.write(open ? 'closed' : 'open');
    setOpen(!open);
  };
  return [open, toggle];
}

interface PartProps {
  /** Of the part's elements, and of its test. */
  id: string;
  title: string;
  fold: readonly [boolean, () => void];
  /** Beside the title. */
  counts?: ComponentChildren;
  children: ComponentChildren;
}

/** A part of the rail below a heading that folds it. */
export function Part({ id, title, fold: [open, toggle], counts, children }: PartProps) {
  return (
    <section class="rail-part" aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>
        <button
          type="button"
          data-testid={`${id}-fold`}
          aria-expanded={open}
          aria-controls={`${id}-part`}
          onClick={toggle}
        >
          <Chevron /> {title}
        </button>
        {counts}
      </h2>
      <div id={`${id}-part`} hidden={!open}>
        {open && children}
      </div>
    </section>
  );
}

/** Points down in what is unfolded (`aria-expanded`), and to the right in what is not. */
export function Chevron() {
  return (
    <svg class="chevron" viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
      <path d="M3 1L7 5L3 9" />
    </svg>
  );
}

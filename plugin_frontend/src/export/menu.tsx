import { useId, useRef, useState } from 'preact/hooks';
import { ActionIcon } from '../icons.tsx';
import { ExportItems, later } from '../late.tsx';
import type { ExportViews } from './items.tsx';

/** What can be taken away from the page: a menu button after the ARIA practices. */
export function ExportMenu(props: ExportViews) {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  if (props.store.screen.value !== 'heatmap') return null;
  const open = (next: boolean) => {
    later.ask();
    setOpen(next);
  };
  return (
    <span class="menu-place">
      <button
        ref={button}
        type="button"
        class="action"
        data-testid="export"
        aria-label="Export"
        title="Export: picture, figures, command"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={`${id}menu`}
        onClick={() => {
          open(!isOpen);
        }}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          open(true);
        }}
      >
        <ActionIcon name="export" />
      </button>
      <ExportItems
        {...props}
        id={`${id}menu`}
        isOpen={isOpen}
        close={(focus) => {
          setOpen(false);
          if (focus !== undefined) button.current?.focus();
        }}
      />
    </span>
  );
}

import type { TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { HELP, keyLabel } from './help_lines.ts';
import type { Shortcut } from './keys.ts';

/** The list of all keys and gestures; `leave` is called when it has been closed. */
export function HelpDialog({ isOpen, leave }: { isOpen: boolean; leave: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    // Closed rather than taken away, it gives the focus back.
    if (isOpen) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen]);
  return (
    <dialog
      ref={dialog}
      class="help"
      onClose={leave}
      data-testid="help-dialog"
      aria-labelledby="help-title"
      onKeyDown={(event) => {
        if (event.key === 'Tab') passFocus(event);
      }}
      onClick={(event) => {
        // The backdrop belongs to the dialog; its content does not fill the dialog's own box.
        if (event.target === event.currentTarget) event.currentTarget.close();
      }}
    >
      <div class="content">
        <div class="head">
          <h1 id="help-title">Keys and gestures</h1>
          <form method="dialog">
            <button data-testid="help-close">Close</button>
          </form>
        </div>
        <div class="sections" tabIndex={0} role="group" aria-labelledby="help-title">
          {HELP.map(({ title, shortcuts }) => (
            <section key={title}>
              <h2>{title}</h2>
              <dl>
                {shortcuts.map((shortcut) => (
                  <Line key={shortcut.does} {...shortcut} />
                ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </dialog>
  );
}

function Line({ keys, gesture, does }: Shortcut) {
  return (
    <>
      <dt>
        {gesture}
        {keys.map((key) => (
          <kbd key={key}>{keyLabel(key)}</kbd>
        ))}
      </dt>
      <dd>{does}</dd>
    </>
  );
}

/** Keeps the focus in the dialog: the browser does so in its own document alone, and TensorBoard's is around it. */
function passFocus(event: TargetedKeyboardEvent<HTMLDialogElement>): void {
  const stops = [...event.currentTarget.querySelectorAll<HTMLElement>('button, [tabindex]')];
  const now = stops.findIndex((stop) => stop === document.activeElement);
  stops[(now + (event.shiftKey ? -1 : 1) + stops.length) % stops.length]?.focus();
  event.preventDefault();
}

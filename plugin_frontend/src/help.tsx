import type { TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { HELP, type Shortcut, keyLabel, pageShortcutOf } from './keys.ts';

/** The button and the key `?`, and the list of all keys and gestures that they open. */
export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    document.addEventListener(
      'keydown',
      (event) => {
        if (pageShortcutOf(event) !== 'help') return;
        event.preventDefault();
        toggle(dialog.current);
      },
      { signal: stop.signal },
    );
    return () => {
      stop.abort();
    };
  }, []);
  return (
    <>
      <button
        type="button"
        data-testid="help"
        aria-haspopup="dialog"
        aria-label="Keys and gestures"
        title="Keys and gestures: ?"
        onClick={() => {
          toggle(dialog.current);
        }}
      >
        ?
      </button>
      <dialog
        ref={dialog}
        class="help"
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
    </>
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

function toggle(dialog: HTMLDialogElement | null): void {
  if (dialog?.open === true) dialog.close();
  else dialog?.showModal();
}

/** Keeps the focus in the dialog: the browser does so in its own document alone, and TensorBoard's is around it. */
function passFocus(event: TargetedKeyboardEvent<HTMLDialogElement>): void {
  const stops = [...event.currentTarget.querySelectorAll<HTMLElement>('button, [tabindex]')];
  const now = stops.findIndex((stop) => stop === document.activeElement);
  stops[(now + (event.shiftKey ? -1 : 1) + stops.length) % stops.length]?.focus();
  event.preventDefault();
}

import { useEffect, useState } from 'preact/hooks';
import { pageShortcutOf } from './keys.ts';
import { HelpDialog, later } from './late.tsx';

/** The button and the key `?`, and the list of all keys and gestures that they open. */
export function Help() {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const stop = new AbortController();
    document.addEventListener(
      'keydown',
      (event) => {
        if (pageShortcutOf(event) !== 'help') return;
        event.preventDefault();
        later.ask();
        setOpen((was) => !was);
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
        class="action"
        data-testid="help"
        aria-haspopup="dialog"
        aria-label="Keys and gestures"
        title="Keys and gestures: ?"
        onClick={() => {
          later.ask();
          setOpen(true);
        }}
      >
        ?
      </button>
      <HelpDialog
        isOpen={isOpen}
        leave={() => {
          setOpen(false);
        }}
      />
    </>
  );
}

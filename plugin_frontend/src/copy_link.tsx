import { ActionIcon } from './icons.tsx';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

const SAID_MS = 3_000;

/** Copies the address of what is shown now; where the browser gives no clipboard, shows it to be copied. */
export function CopyLink({ link }: { link: () => string }) {
  const [said, setSaid] = useState('');
  const [shown, setShown] = useState<string | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (shown !== null) field.current?.select();
  }, [shown]);
  const copy = async () => {
    const text = link();
    try {
      await navigator.clipboard.writeText(text);
      setSaid('Link copied');
      setTimeout(() => {
        setSaid('');
      }, SAID_MS);
    } catch {
      // Over plain http there is no clipboard, and a frame may be refused it.
      setShown(text);
    }
  };
  const close = () => {
    setShown(null);
    button.current?.focus();
  };
  return (
    <span class="copy-link">
      <button
        ref={button}
        type="button"
        class="action"
        data-testid="copy-link"
        aria-label="Copy link"
        title="Copy a link to what is shown now"
        onClick={() => void copy()}
      >
        <ActionIcon name="link" />
      </button>
      <span role="status" data-testid="link-copied" class={said === '' ? undefined : 'said'}>
        {said}
      </span>
      {shown !== null && (
        <span class="link-field">
          <label>
            Press Ctrl+C to copy
            <input
              ref={field}
              type="text"
              readOnly
              data-testid="link-field"
              value={shown}
              onKeyDown={(event) => {
                if (event.key === 'Escape') close();
              }}
              onCopy={() => {
                setSaid('Link copied');
              }}
              onBlur={() => {
                setShown(null);
              }}
            />
          </label>
        </span>
      )}
    </span>
  );
}

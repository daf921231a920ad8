import { useRef, useState } from 'preact/hooks';

/** Lines to copy, with a button for it. */
export function CopyLines({ text, testId = 'copy' }: { text: string; testId?: string }) {
  const code = useRef<HTMLPreElement>(null);
  const [said, setSaid] = useState('');
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid('Copied');
    } catch {
      // Over plain http the browser offers no clipboard: leave the last key to the reader.
      if (code.current !== null) window.getSelection()?.selectAllChildren(code.current);
      setSaid('Selected: press Ctrl+C');
    }
  };
  return (
    <>
      <pre ref={code} tabIndex={0} aria-label="Lines to copy">
        {text}
      </pre>
      <p>
        <button type="button" class="primary" data-testid={testId} onClick={() => void copy()}>
          Copy
        </button>{' '}
        <span role="status">{said}</span>
      </p>
    </>
  );
}

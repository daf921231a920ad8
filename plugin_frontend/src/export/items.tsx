import { useEffect, useRef, useState } from 'preact/hooks';
import type { Alerts } from '../alerts/alerts.ts';
import type { Api } from '../api.ts';
import { CopyLines } from '../copy_lines.tsx';
import type { LinkedRun } from '../linked.ts';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import { fileNameOf, save } from './file_names.ts';
import { drawPicture } from './picture_file.ts';
import { exportCommand } from './shell.ts';
import { type View, commandOf, rowsTold, viewOf } from './view.ts';

export interface ExportViews {
  store: Store;
  linked: LinkedRun;
  alerts: Alerts;
  api: Api;
  theme: { readonly value: Theme };
}

interface Props extends ExportViews {
  /** Of the menu's element. */
  id: string;
  isOpen: boolean;
  /** Closes the menu; the focus would be lost with it where it does not go elsewhere by itself. */
  close: (focus?: 'to the button') => void;
}

interface Action {
  label: string;
  testId: string;
  run: () => void;
}

/** The items of the export menu, and the dialog that one of them opens. */
export function ExportItems({ store, linked, alerts, api, theme, id, isOpen, close }: Props) {
  const [command, setCommand] = useState<string | null>(null);
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isOpen) itemsOf(menu.current)[0]?.focus();
  }, [isOpen]);
  const withView = (use: (view: View) => void) => () => {
    const view = viewOf(store);
    if (view !== null) use(view);
  };
  const view = isOpen ? viewOf(store) : null;
  const rows = view === null ? '' : rowsTold(view);
  const ofFirst = linked.name.value === null ? '' : ' of A';
  const actions: Action[] = [
    {
      label: 'Picture of the view (PNG)',
      testId: 'export-png',
      run: withView((shown) => {
        void savePicture(drawPicture(store, linked, alerts, theme.value), nameOf(store, shown, 'png'));
      }),
    },
    {
      label: `Figures of the view${ofFirst} (CSV), ${rows}`,
      testId: 'export-csv',
      run: withView((shown) => {
        const url = api.csvUrl(shown.layer, shown.nodes, ...shown.steps, shown.cells);
        save(url.href, nameOf(store, shown, 'csv'));
      }),
    },
    {
      label: 'Open in terminal…',
      testId: 'export-command',
      run: withView((shown) => {
        setCommand(exportCommand(commandOf(store, shown)));
      }),
    },
  ];
  return (
    <>
      {isOpen && (
        <div
          ref={menu}
          id={id}
          class="menu"
          role="menu"
          aria-label="Export"
          onKeyDown={(event) => {
            if (event.key === 'Escape') close('to the button');
            else if (event.key === 'Tab') close();
            else if (!step(menu.current, event.key)) return;
            if (event.key !== 'Tab') event.preventDefault();
          }}
          onFocusOut={(event) => {
            const to = event.relatedTarget;
            if (!(to instanceof Node) || menu.current?.contains(to) !== true) close();
          }}
        >
          {view === null && (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                close('to the button');
              }}
            >
              Nothing of the run is in view
            </button>
          )}
          {(view === null ? [] : actions).map(({ label, testId, run }) => (
            <button
              key={testId}
              type="button"
              role="menuitem"
              tabIndex={-1}
              data-testid={testId}
              onClick={() => {
                close('to the button');
                run();
              }}
            >
              {label}
            </button>
          ))}
        </div>
      )}
      {command !== null && (
        <CommandDialog
          command={command}
          leave={() => {
            setCommand(null);
            close('to the button');
          }}
        />
      )}
    </>
  );
}

function itemsOf(menu: HTMLElement | null): HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
}

/** Moves the focus within the menu; whether the key meant that. */
function step(menu: HTMLElement | null, key: string): boolean {
  const items = itemsOf(menu);
  const at = items.findIndex((item) => item === document.activeElement);
  const targets: Record<string, number> = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  };
  const target = targets[key];
  if (target === undefined) return false;
  items[target]?.focus();
  return true;
}

function nameOf(store: Store, { layer, steps }: View, ending: string): string {
  const label = store.meta.peek()?.label ?? layer.run;
  return fileNameOf([label, layer.stream, layer.metric, layer.view, steps.join('_')], ending);
}

async function savePicture(canvas: HTMLCanvasElement | null, name: string): Promise<void> {
  const blob = await new Promise<Blob | null>((resolve) => {
    if (canvas === null) resolve(null);
    else canvas.toBlob(resolve, 'image/png');
  });
  if (blob === null) return;
  const url = URL.createObjectURL(blob);
  save(url, name);
  // The browser reads it after the click has been handled.
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 60_000);
}

function CommandDialog({ command, leave }: { command: string; leave: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="command-title" data-testid="command" onClose={leave}>
      <h2 id="command-title">Open in terminal</h2>
      <p>
        The same rows and steps, at full resolution. Set <code>LOGDIR</code> to what TensorBoard was given as{' '}
        <code>--logdir</code>, which this page does not know:
      </p>
      <CopyLines text={`LOGDIR=runs\n${command}`} testId="copy-command" />
      <button type="button" data-testid="command-close" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

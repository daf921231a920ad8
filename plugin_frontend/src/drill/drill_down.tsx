import type { ReadonlySignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import type { Api } from '../api.ts';
import type { Pointing } from '../pointing.ts';
import type { Store } from '../store.ts';
import type { Theme } from '../theme.ts';
import type { Drill } from './drill.ts';
import { ExponentFeed } from './exponent_feed.ts';
import { LineFeed } from './line_feed.ts';
import { DrillPanel } from './panel.tsx';
import { RowFeed } from './row_feed.ts';

interface Props {
  store: Store;
  pointing: Pointing;
  drill: Drill;
  theme: ReadonlySignal<Theme>;
  heatmap: RefObject<HTMLDivElement | null>;
  api: Api;
  visible: ReadonlySignal<boolean>;
  failed: (error: unknown) => void;
}

/** The panel, with what it asks the server for. */
export function DrillDown({ api, visible, failed, ...views }: Props) {
  const { store, drill } = views;
  const [lines, rows, exponents] = useMemo(() => {
    const known = [api, store, drill, visible, failed] as const;
    return [new LineFeed(...known), new RowFeed(...known), new ExponentFeed(...known)];
  }, [api, store, drill, visible, failed]);
  useEffect(() => {
    const endings = [lines.start(), rows.start(), exponents.start()];
    return () => {
      for (const end of endings) end();
    };
  }, [lines, rows, exponents]);
  return <DrillPanel {...views} lines={lines} rows={rows} exponents={exponents} />;
}

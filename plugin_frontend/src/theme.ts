import { type ReadonlySignal, signal } from '@preact/signals';

export type Theme = 'light' | 'dark';

/** What the canvas draws with besides the colour map; the page's own colours are in style.css. */
export interface Palette {
  background: string;
  pending: string;
  hatch: string;
  incomplete: string;
  quiet: string;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    background: '#ffffff',
    pending: '#f1f3f5',
    hatch: '#c3c8ce',
    incomplete: 'rgb(255 255 255 / 55%)',
    quiet: '#5a6068',
  },
  dark: {
    background: '#1e2124',
    pending: '#282c30',
    hatch: '#4a5159',
    incomplete: 'rgb(0 0 0 / 45%)',
    quiet: '#a9b0b8',
  },
};

/** TensorBoard's document, or null where the page stands alone or in a frame of another origin. */
function hostDocument(): Document | null {
  try {
    return window.parent === window ? null : window.parent.document;
  } catch {
    return null;
  }
}

/** The theme as a signal that follows TensorBoard's switch, or the system's where there is no TensorBoard around. */
export function watchTheme(): ReadonlySignal<Theme> {
  const host = hostDocument();
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (host === null ? system.matches : host.body.classList.contains('dark-mode'));
  const theme = signal<Theme>('light');
  const update = () => {
    theme.value = isDark() ? 'dark' : 'light';
    document.documentElement.dataset.theme = theme.value;
  };
  if (host === null) system.addEventListener('change', update);
  else new MutationObserver(update).observe(host.body, { attributes: true, attributeFilter: ['class'] });
  update();
  return theme;
}

import type { Memory } from './alerts.ts';

/** A word that the browser keeps from one visit to the next; nothing where it keeps none for this page. */
export function remembered(key: string): Memory {
  return {
    read: () => {
      try {
        return localStorage.getItem(key);
      } catch {
        return null;
      }
    },
    write: (value) => {
      try {
        localStorage.setItem(key, value);
      } catch {
        // A browser told to keep nothing forgets the choice with the page.
      }
    },
  };
}

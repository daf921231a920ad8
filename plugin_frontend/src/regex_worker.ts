/** Searches names for a regular expression, apart from the page, so that a slow one can be ended. */

export interface Question {
  /** Null are those of the question before. */
  readonly names: readonly string[] | null;
  readonly source: string;
  readonly flags: string;
}

let names: readonly string[] = [];

self.onmessage = ({ data }: MessageEvent<Question>) => {
  names = data.names ?? names;
  const regex = new RegExp(data.source, data.flags);
  self.postMessage(Uint8Array.from(names, (name) => (regex.test(name) ? 1 : 0)));
};

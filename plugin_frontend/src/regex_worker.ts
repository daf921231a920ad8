/** Searches names for a regular expression, apart from the page, so that a slow one can be ended. */

export interface Question {
  /** Null are those of the question before. */
  readonly names: readonly string[] | null;
  readonly source: string;
  readonly flags: string;
}

/** Null says that the worker has been loaded, which may take longer than any search. */
export type Answer = Uint8Array | null;

let names: readonly string[] = [];

self.onmessage = ({ data }: MessageEvent<Question>) => {
  names = data.names ?? names;
  const regex = new RegExp(data.source, data.flags);
  const matched: Answer = Uint8Array.from(names, (name) => (regex.test(name) ? 1 : 0));
  self.postMessage(matched);
};

self.postMessage(null satisfies Answer);

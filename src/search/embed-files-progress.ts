/** How far embedding many models is. */
export interface EmbedProgress {
  /** Models met so far. */
  readonly models: number;
  /** Models with a result or an error. */
  readonly modelsDone: number;
  /** Models with an error. */
  readonly modelsFailed: number;
  /** Bytes wanted of the models planned so far. */
  readonly bytesWanted: number;
  /** Part of `bytesWanted` that has been sent, or was there from an earlier upload. */
  readonly bytesDone: number;
  /** Bytes sent, those sent again after a failure included. */
  readonly bytesSent: number;
}

/** Counts, and tells someone after each change. */
export interface ProgressCounter {
  /** Adds to the counts; negative numbers take back. */
  add(change: Partial<EmbedProgress>): void;
}

/** Starts at 0. The listener gets the same object each time, with its numbers changed. */
export function createProgressCounter(listener: ((progress: EmbedProgress) => void) | undefined): ProgressCounter {
  const progress = { models: 0, modelsDone: 0, modelsFailed: 0, bytesWanted: 0, bytesDone: 0, bytesSent: 0 };
  const keys = Object.keys(progress) as (keyof EmbedProgress)[];
  return {
    add: (change) => {
      for (const key of keys) progress[key] += change[key] ?? 0;
      listener?.(progress);
    },
  };
}

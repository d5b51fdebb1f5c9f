import type { Kernel } from "./kernel.js";

/** A block of X that is added to a sum strip by strip, and where in memory all of it lies. */
export interface StripWork {
  /** The job as the kernel reads it. */
  readonly job: number;
  /** Rows of the block in X. */
  readonly rowBegin: number;
  readonly rowCount: number;
  /** Rows of each strip but the last. */
  readonly stripRows: number;
  /** Room for {@link Crew.slots} strips, each of `stripBytes`. */
  readonly staging: number;
  readonly stripBytes: number;
  /** Room for one scratch area per thread, each of `scratchBytes`. */
  readonly scratch: number;
  readonly scratchBytes: number;
  /** The float64 sum, of `sumCount` numbers. */
  readonly sum: number;
  readonly sumCount: number;
  /** Room for one sum per helper where strips add to the same numbers; 0 where each strip has rows of its own. */
  readonly partials: number;
  readonly partialBytes: number;
}

/** The threads that add strips. */
export interface Crew {
  readonly threads: number;
  /** Strips that lie in memory at the same time. */
  readonly slots: number;
  /** Adds a block. `stage` copies a strip, by its number in the block, to an address; the caller's thread runs it. */
  run(work: StripWork, stage: (strip: number, address: number) => void): void;
  /** Ends the helper threads. */
  dispose(): Promise<void>;
}

/** Strips of a block. */
export function stripCount({ rowCount, stripRows }: StripWork): number {
  return Math.ceil(rowCount / stripRows);
}

/** Adds a block on the caller's thread: copies a strip into the second cache and adds it from there. */
export function runAlone(kernel: Kernel, work: StripWork, stage: (strip: number, address: number) => void): void {
  const count = stripCount(work);
  for (let strip = 0; strip < count; strip++) {
    stage(strip, work.staging);
    const row = strip * work.stripRows;
    const rows = Math.min(work.stripRows, work.rowCount - row);
    kernel.addStrip(work.job, work.staging, work.rowBegin + row, rows, work.scratch, work.sum);
  }
}

/** A crew of the caller's thread alone. */
export function createLoneCrew(kernel: Kernel): Crew {
  return { threads: 1, slots: 1, run: (work, stage) => runAlone(kernel, work, stage), dispose: async () => {} };
}

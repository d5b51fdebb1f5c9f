import type { StripWork } from "./crew.js";
import type { Kernel } from "./kernel.js";

/** Words of the board, the memory through which threads share out strips; after them two per thread. */
const words = {
  /** Strips that are staged and not yet taken: a semaphore. */
  staged: 0,
  /** Strips taken so far, so the number of the next. */
  taken: 1,
  /** Strips added so far. */
  added: 2,
  job: 3,
  rowBegin: 4,
  rowCount: 5,
  stripRows: 6,
  /** Number of the strip in the first slot. */
  firstStrip: 7,
  staging: 8,
  stripBytes: 9,
  scratch: 10,
  scratchBytes: 11,
  sumCount: 12,
} as const;
const headWords = 13;

/** Bytes of a board for so many threads. */
export function boardBytes(threads: number): number {
  return (headWords + 2 * threads) * 4;
}

/**
 * A board on shared memory, as one thread sees it. One thread, the caller's, is number 0 and posts work; the others
 * wait for it.
 *
 * What describes the work changes only while no strip is out: a thread reads it after it took a strip, and the caller
 * goes on only after all taken strips were added.
 */
export class Board {
  readonly #words: Int32Array;
  readonly #threads: number;

  constructor(buffer: ArrayBuffer | SharedArrayBuffer, address: number, threads: number) {
    this.#words = new Int32Array(buffer, address, headWords + 2 * threads);
    this.#threads = threads;
  }

  /** Writes down a block's work, before its first strip is staged. */
  post(work: StripWork): void {
    for (const name of ["job", "rowBegin", "rowCount", "stripRows", "staging", "stripBytes"] as const) {
      this.#words[words[name]] = work[name];
    }
    for (const name of ["scratch", "scratchBytes", "sumCount"] as const) this.#words[words[name]] = work[name];
    for (let thread = 0; thread < this.#threads; thread++) {
      const own = thread > 0 && work.partials !== 0;
      this.#words[this.#sumWord(thread)] = own ? work.partials + (thread - 1) * work.partialBytes : work.sum;
      this.#words[this.#freshWord(thread)] = own ? 1 : 0;
    }
  }

  /** Begins a new filling of the slots, `firstStrip` in the first. */
  openSlots(firstStrip: number): void {
    this.#words[words.firstStrip] = firstStrip;
    Atomics.store(this.#words, words.taken, 0);
    Atomics.store(this.#words, words.added, 0);
  }

  /** Says that one more slot is filled. */
  announce(): void {
    Atomics.add(this.#words, words.staged, 1);
    Atomics.notify(this.#words, words.staged, 1);
  }

  /** Takes a strip and adds it; false if none is staged. */
  addOne(kernel: Kernel, thread: number): boolean {
    const slot = this.#take();
    if (slot === undefined) return false;
    const sum = this.#word(this.#sumWord(thread));
    if (this.#words[this.#freshWord(thread)] === 1) {
      kernel.clearSum(sum, this.#word(words.sumCount));
      this.#words[this.#freshWord(thread)] = 0;
    }
    const stripRows = this.#word(words.stripRows);
    const row = (this.#word(words.firstStrip) + slot) * stripRows;
    kernel.addStrip(
      this.#word(words.job),
      this.#word(words.staging) + slot * this.#word(words.stripBytes),
      this.#word(words.rowBegin) + row,
      Math.min(stripRows, this.#word(words.rowCount) - row),
      this.#word(words.scratch) + thread * this.#word(words.scratchBytes),
      sum,
    );
    Atomics.add(this.#words, words.added, 1);
    Atomics.notify(this.#words, words.added);
    return true;
  }

  /** Blocks a helper until a strip is staged. */
  waitForStaged(): void {
    Atomics.wait(this.#words, words.staged, 0);
  }

  /**
   * Blocks the caller until `count` strips were added.
   *
   * @returns false if `timeoutMs` passed without a strip being added.
   */
  waitForAdded(count: number, timeoutMs: number): boolean {
    for (;;) {
      const added = Atomics.load(this.#words, words.added);
      if (added >= count) return true;
      if (Atomics.wait(this.#words, words.added, added, timeoutMs) === "timed-out") return false;
    }
  }

  /** Address of a helper's own sum; undefined if it took no strip, or has none. */
  partialOf(thread: number, work: StripWork): number | undefined {
    if (work.partials === 0 || this.#words[this.#freshWord(thread)] === 1) return undefined;
    return this.#word(this.#sumWord(thread));
  }

  /** Number of the slot taken. */
  #take(): number | undefined {
    for (;;) {
      const staged = Atomics.load(this.#words, words.staged);
      if (staged <= 0) return undefined;
      if (Atomics.compareExchange(this.#words, words.staged, staged, staged - 1) === staged) {
        return Atomics.add(this.#words, words.taken, 1);
      }
    }
  }

  /** A word; addresses go up to 4 GiB. */
  #word(index: number): number {
    return (this.#words[index] as number) >>> 0;
  }

  #sumWord(thread: number): number {
    return headWords + 2 * thread;
  }

  #freshWord(thread: number): number {
    return headWords + 2 * thread + 1;
  }
}

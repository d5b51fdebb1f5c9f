import { createHash } from "node:crypto";
import { Random } from "../src/linalg/random.js";

/** Bytes per digest segment, as the contract says. */
export const SEGMENT_BYTES = 8 * 1024 ** 2;

/** A float32 layer that is made as it is read, every segment of it different; the same seed gives the same layer. */
export class SeededLayer {
  readonly totalBytes: number;
  readonly #seed: number;
  #index = -1;
  #segment: Uint8Array = new Uint8Array(0);

  /** @param totalBytes a multiple of 4. */
  constructor(totalBytes: number, seed: number) {
    this.totalBytes = totalBytes;
    this.#seed = seed;
  }

  /** Bytes from `offset` on, at most `limit`, and none of the next segment: a view that the next call may overwrite. */
  read(offset: number, limit: number): Uint8Array {
    const index = Math.floor(offset / SEGMENT_BYTES);
    const begin = offset - index * SEGMENT_BYTES;
    return this.segment(index).subarray(begin, begin + limit);
  }

  /** One segment; the last may be shorter. */
  segment(index: number): Uint8Array {
    if (index !== this.#index) {
      const length = Math.min(SEGMENT_BYTES, this.totalBytes - index * SEGMENT_BYTES);
      const values = new Random(this.#seed * 65_537 + index).spread(length / 4, 0.02);
      this.#segment = new Uint8Array(values.buffer);
      this.#index = index;
    }
    return this.#segment;
  }

  /** SHA-256 of every segment before `end`, one after another. Makes them, 10 ms each. */
  segmentDigests(end = this.totalBytes): Uint8Array {
    const count = Math.ceil(end / SEGMENT_BYTES);
    const digests = new Uint8Array(count * 32);
    for (let index = 0; index < count; index++) {
      digests.set(createHash("sha256").update(this.segment(index)).digest(), index * 32);
    }
    return digests;
  }
}

import { createCipheriv } from "node:crypto";
import type { Matrix } from "../../src/compute/compute-backend.js";

/** A stream of numbers from 0 to 1 (exclusive) that is the same for the same seed: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seeded numbers between -scale and scale. */
export function randomValues(count: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const random = createRandom(seed);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (2 * random() - 1) * scale;
  return values;
}

/** A seeded matrix of numbers between -1 and 1. */
export function randomMatrix(rows: number, columns: number, seed: number): Matrix {
  return { rows, columns, values: randomValues(rows * columns, seed) };
}

/** Seeded bytes: a cipher's key stream, for {@link createRandom} takes 50 ms for a megabyte of them. */
export function randomBytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  const key = Buffer.alloc(16);
  key.writeInt32LE(seed | 0);
  return new Uint8Array(createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(new Uint8Array(count)));
}

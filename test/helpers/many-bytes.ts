import { createCipheriv } from "node:crypto";

/** Seeded bytes by the megabyte, about 1 ms for each: a cipher's key stream, where a generator takes 50 ms. */
export function manyBytes(count: number, seed: number): Uint8Array<ArrayBuffer> {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16));
  return new Uint8Array(cipher.update(new Uint8Array(count)));
}

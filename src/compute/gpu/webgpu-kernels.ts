import type { KernelThread } from "./gpu-js.js";

// gpu.js reads the text of these functions and writes WGSL: only numbers, loops and `this.thread`. Four outputs to a
// thread are the most that it allows. Arrays are flat storage buffers; columns past the last are read from the next
// row or, behind the buffer's end, from wherever WebGPU clamps the index to. They end in padding that nobody reads.

/** T[y, 4x…4x+3] = Σₖ X[y, k]·R[k, 4x…4x+3]; X is rows × depth, R is depth × stride. */
export function multiply(
  this: KernelThread,
  x: number[],
  r: number[],
  depth: number,
  stride: number,
): [number, number, number, number] {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = this.thread.x * 4;
  const row = this.thread.y * depth;
  for (let k = 0; k < depth; k++) {
    const factor = x[row + k] as number;
    a += factor * (r[at] as number);
    b += factor * (r[at + 1] as number);
    c += factor * (r[at + 2] as number);
    d += factor * (r[at + 3] as number);
    at += stride;
  }
  return [a, b, c, d];
}

/** Z'[y, 4x…] = Z[y, 4x…] + Σₖ L[begin + k, y]·T[k, 4x…]; L has `height` columns, T `stride`, Z `width`. */
export function accumulate(
  this: KernelThread,
  z: number[],
  l: number[],
  t: number[],
  begin: number,
  count: number,
  height: number,
  stride: number,
  width: number,
): [number, number, number, number] {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let from = begin * height + this.thread.y;
  let at = this.thread.x * 4;
  for (let k = 0; k < count; k++) {
    const factor = l[from] as number;
    a += factor * (t[at] as number);
    b += factor * (t[at + 1] as number);
    c += factor * (t[at + 2] as number);
    d += factor * (t[at + 3] as number);
    from += height;
    at += stride;
  }
  const to = this.thread.y * width + this.thread.x * 4;
  return [(z[to] as number) + a, (z[to + 1] as number) + b, (z[to + 2] as number) + c, (z[to + 3] as number) + d];
}

/** Z' = Z, with T added to the `count` rows from `begin` on; both have `width` columns. */
export function place(
  this: KernelThread,
  z: number[],
  t: number[],
  begin: number,
  count: number,
  width: number,
): [number, number, number, number] {
  const to = this.thread.y * width + this.thread.x * 4;
  let a = z[to] as number;
  let b = z[to + 1] as number;
  let c = z[to + 2] as number;
  let d = z[to + 3] as number;
  const row = this.thread.y - begin;
  if (row >= 0 && row < count) {
    const from = row * width + this.thread.x * 4;
    a += t[from] as number;
    b += t[from + 1] as number;
    c += t[from + 2] as number;
    d += t[from + 3] as number;
  }
  return [a, b, c, d];
}

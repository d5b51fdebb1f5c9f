import type { KernelThread } from "./gpu-js.js";

// gpu.js reads the text of these functions and writes GLSL. Four outputs to a thread are one texel of a float texture,
// which other kernels read as a vector of four. A matrix is indexed by row, then column, in one expression: the
// translator knows no rows as values.

type Vector = [number, number, number, number];

/** Four neighbours of a row to a texel; those past the row's end belong to the next row and end in padding. */
export function pack(this: KernelThread, x: number[][]): Vector {
  const at = this.thread.x * 4;
  const y = this.thread.y;
  return [
    (x[y] as number[])[at] as number,
    (x[y] as number[])[at + 1] as number,
    (x[y] as number[])[at + 2] as number,
    (x[y] as number[])[at + 3] as number,
  ];
}

/** The matrix itself, as single numbers, on the device. */
export function copy(this: KernelThread, x: number[][]): number {
  return (x[this.thread.y] as number[])[this.thread.x] as number;
}

/** T = X·R; R and T are packed, X has `depth` columns. */
export function multiply(this: KernelThread, x: number[][], r: Vector[][], depth: number): Vector {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let k = 0; k < depth; k++) {
    const factor = (x[this.thread.y] as number[])[k] as number;
    const four = (r[k] as Vector[])[this.thread.x] as Vector;
    a += factor * four[0];
    b += factor * four[1];
    c += factor * four[2];
    d += factor * four[3];
  }
  return [a, b, c, d];
}

/** Z' = Z + Lᵀ[:, begin…]·T over `count` rows; Z and T are packed. */
export function accumulate(
  this: KernelThread,
  z: Vector[][],
  l: number[][],
  t: Vector[][],
  begin: number,
  count: number,
): Vector {
  const old = (z[this.thread.y] as Vector[])[this.thread.x] as Vector;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let k = 0; k < count; k++) {
    const factor = (l[begin + k] as number[])[this.thread.y] as number;
    const four = (t[k] as Vector[])[this.thread.x] as Vector;
    a += factor * four[0];
    b += factor * four[1];
    c += factor * four[2];
    d += factor * four[3];
  }
  return [old[0] + a, old[1] + b, old[2] + c, old[3] + d];
}

/** Z' = Z, with T added to the `count` rows from `begin` on; both are packed. */
export function place(this: KernelThread, z: Vector[][], t: Vector[][], begin: number, count: number): Vector {
  const old = (z[this.thread.y] as Vector[])[this.thread.x] as Vector;
  let a = old[0];
  let b = old[1];
  let c = old[2];
  let d = old[3];
  const row = this.thread.y - begin;
  if (row >= 0 && row < count) {
    const four = (t[row] as Vector[])[this.thread.x] as Vector;
    a += four[0];
    b += four[1];
    c += four[2];
    d += four[3];
  }
  return [a, b, c, d];
}

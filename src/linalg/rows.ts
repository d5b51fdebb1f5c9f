/** Rows of numbers, one after another. */
export interface Rows {
  readonly width: number;
  readonly values: Float32Array;
}

/** Puts vectors of one width one after another. A copy. */
export function toRows(width: number, vectors: readonly Float32Array[]): Rows {
  const values = new Float32Array(vectors.length * width);
  for (const [row, vector] of vectors.entries()) values.set(vector, row * width);
  return { width, values };
}

/** A view of one row. */
export function rowOf({ width, values }: Rows, row: number): Float32Array {
  return values.subarray(row * width, (row + 1) * width);
}

/** How many rows there are; none if they have no width. */
export function countRows({ width, values }: Rows): number {
  return width === 0 ? 0 : values.length / width;
}

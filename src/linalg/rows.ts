/** Rows of numbers, one after another. */
export interface Rows {
  readonly width: number;
  readonly values: Float32Array;
}

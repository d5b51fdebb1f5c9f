import type { Matrix } from "../compute/compute-backend.js";
import type { Linear } from "../experts/checkpoint.js";
import { dot } from "./unit-vectors.js";

/** weight·x + bias; sums are float64. */
export function applyLinear({ weight, bias }: Linear, x: Float32Array): Float32Array {
  const y = new Float32Array(weight.rows);
  for (let row = 0; row < weight.rows; row++) y[row] = dot(rowOf(weight, row), x) + (bias[row] as number);
  return y;
}

/** One row, a view. */
export function rowOf({ columns, values }: Pick<Matrix, "columns" | "values">, row: number): Float32Array {
  return values.subarray(row * columns, (row + 1) * columns);
}

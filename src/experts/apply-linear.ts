import { dot } from "../linalg/dot.js";
import type { Linear } from "./checkpoint.js";

/** weight·x + bias; sums are float64. */
export function applyLinear({ weight, bias }: Linear, x: Float32Array): Float32Array {
  return bias.map((value, row) => value + dot(x, weight.values, row * weight.columns));
}

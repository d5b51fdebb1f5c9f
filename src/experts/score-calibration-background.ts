import { dot } from "../linalg/dot.js";
import type { Rows } from "../linalg/rows.js";

/** How the cosines of one query with models of the expert's tree are spread. */
export interface QueryBackground {
  readonly mean: number;
  readonly deviation: number;
}

/** A background model with this cosine to the query is the query itself. */
const same = 1 - 1e-6;
/** Cosines are float32 numbers: less spread than this is none. */
const leastDeviation = 1e-4;

/**
 * Mean and standard deviation of a query's cosines with the background, the query itself left out.
 *
 * @param query at unit length.
 * @param background rows at unit length.
 */
export function toQueryBackground(query: Float32Array, { width, values }: Rows): QueryBackground {
  let [count, sum, squares] = [0, 0, 0];
  for (let at = 0; at < values.length; at += width) {
    const cosine = dot(query, values, at);
    if (cosine > same) continue;
    count++;
    sum += cosine;
    squares += cosine * cosine;
  }
  if (count < 2) return { mean: 0, deviation: 1 };
  const mean = sum / count;
  const variance = (squares - count * mean * mean) / (count - 1);
  return { mean, deviation: Math.max(leastDeviation, Math.sqrt(Math.max(0, variance))) };
}

/** The greatest cosine of a query with any of some rows; −1 if there are none. */
export function toNearestCosine(query: Float32Array, { width, values }: Rows, except = -1): number {
  let greatest = -1;
  for (let row = 0, at = 0; at < values.length; row++, at += width) {
    if (row !== except) greatest = Math.max(greatest, dot(query, values, at));
  }
  return greatest;
}

import type { Matrix } from "../../src/compute/compute-backend.js";

/** A row-major matrix of float64 numbers: what results are measured against. */
export interface ExactMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/** a · b by the definition, in float64. */
export function multiply(a: Matrix | ExactMatrix, b: Matrix | ExactMatrix): ExactMatrix {
  if (a.columns !== b.rows) throw new Error(`${a.columns} columns times ${b.rows} rows`);
  const values = new Float64Array(a.rows * b.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let k = 0; k < a.columns; k++) {
      const factor = a.values[i * a.columns + k] ?? 0;
      for (let j = 0; j < b.columns; j++) {
        values[i * b.columns + j] = (values[i * b.columns + j] ?? 0) + factor * (b.values[k * b.columns + j] ?? 0);
      }
    }
  }
  return { rows: a.rows, columns: b.columns, values };
}

/** The transpose, in float64. */
export function turned({ rows, columns, values }: Matrix | ExactMatrix): ExactMatrix {
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j] ?? 0;
  return { rows: columns, columns: rows, values: out };
}

/** ‖found - expected‖ / ‖expected‖; the length of `found` where nothing but zeros is expected. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += ((found[i] ?? Number.NaN) - (expected[i] ?? Number.NaN)) ** 2;
    norm += (expected[i] ?? Number.NaN) ** 2;
  }
  return Math.sqrt(difference) / (norm === 0 ? 1 : Math.sqrt(norm));
}

/** h of Z = V·X·U: ReLU, flattened probe-major. */
export function exactResponses(v: Matrix, x: Matrix | ExactMatrix, u: Matrix): Float64Array {
  return turned(multiply(multiply(v, x), u)).values.map((value) => Math.max(0, value));
}

/** weight · x + bias, in float64. */
export function exactLinear(weight: Matrix, bias: Float32Array, x: ArrayLike<number>): Float64Array {
  const column = { rows: x.length, columns: 1, values: Float64Array.from(x) };
  return multiply(weight, column).values.map((value, row) => value + (bias[row] ?? 0));
}

/** Cosine of two vectors, in float64. */
export function exactCosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0;
  let normA = 0;
  let normB = 0;
  for (let i = 0; i < a.length; i++) {
    product += (a[i] ?? 0) * (b[i] ?? 0);
    normA += (a[i] ?? 0) ** 2;
    normB += (b[i] ?? 0) ** 2;
  }
  return product / Math.sqrt(normA * normB);
}

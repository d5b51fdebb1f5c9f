import type { Matrix } from "../src/compute/compute-backend.js";
import { Random } from "../src/linalg/random.js";

/** Sizes of a product Lᵀ·X·R with X of `rows` × `columns`. */
export interface ProductSize {
  readonly rows: number;
  readonly columns: number;
  /** r_U. */
  readonly probeCount: number;
  /** r_V. */
  readonly projectionWidth: number;
}

/** A seeded matrix of numbers around 1. */
export function createMatrix(rows: number, columns: number, seed: number): Matrix {
  return { rows, columns, values: new Random(seed).spread(rows * columns, 1) };
}

/** Seeded L and R. */
export function createProductSides({ rows, columns, probeCount, projectionWidth }: ProductSize): {
  readonly left: Matrix;
  readonly right: Matrix;
} {
  return { left: createMatrix(rows, projectionWidth, 2), right: createMatrix(columns, probeCount, 3) };
}

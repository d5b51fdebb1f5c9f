import { InvalidInputError } from "../errors/probestream-error.js";

/**
 * The lower triangle L of a symmetric positive definite matrix A = L·Lᵀ, in float64, row-major, with zeros above.
 *
 * @param matrix n × n; only its lower triangle is read.
 * @throws InvalidInputError `FIELD_INVALID` if A is not positive definite.
 */
export function factorise(matrix: Float64Array, n: number): Float64Array {
  const lower = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    const rowAt = row * n;
    for (let column = 0; column <= row; column++) {
      const columnAt = column * n;
      let sum = matrix[rowAt + column] as number;
      for (let k = 0; k < column; k++) sum -= (lower[rowAt + k] as number) * (lower[columnAt + k] as number);
      if (column < row) lower[rowAt + column] = sum / (lower[columnAt + column] as number);
      else if (sum > 0) lower[rowAt + column] = Math.sqrt(sum);
      else throw new InvalidInputError("FIELD_INVALID", `the matrix is not positive definite: pivot ${row} is ${sum}`);
    }
  }
  return lower;
}

/** Solves L·y = b for `columns` right sides at once, in place: b is n × columns, row-major. */
export function solveLower(lower: Float64Array, n: number, b: Float64Array, columns: number): void {
  for (let row = 0; row < n; row++) {
    const at = row * columns;
    for (let k = 0; k < row; k++) subtractRow(b, at, k * columns, columns, lower[row * n + k] as number);
    const pivot = lower[row * n + row] as number;
    for (let i = 0; i < columns; i++) b[at + i] = (b[at + i] as number) / pivot;
  }
}

/** Solves A·x = b with A = L·Lᵀ for `columns` right sides at once, in place: b is n × columns, row-major. */
export function solve(lower: Float64Array, n: number, b: Float64Array, columns: number): void {
  solveLower(lower, n, b, columns);
  for (let row = n - 1; row >= 0; row--) {
    const at = row * columns;
    const pivot = lower[row * n + row] as number;
    for (let i = 0; i < columns; i++) b[at + i] = (b[at + i] as number) / pivot;
    for (let k = 0; k < row; k++) subtractRow(b, k * columns, at, columns, lower[row * n + k] as number);
  }
}

function subtractRow(values: Float64Array, to: number, from: number, count: number, factor: number): void {
  for (let i = 0; i < count; i++) values[to + i] = (values[to + i] as number) - factor * (values[from + i] as number);
}

import type { RowBlock } from "../compute/compute-backend.js";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { StoredMatrix } from "./stored-matrix.js";

/**
 * Guards the numbers of a block.
 *
 * @throws InvalidInputError `NON_FINITE` with tensor, row and column.
 */
export function assertFinite(values: Float32Array, matrix: StoredMatrix, block: RowBlock): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index < 0) return;
  const row = matrix.firstRow + block.rowBegin + Math.floor(index / block.columnCount);
  const column = matrix.columns.begin + (index % block.columnCount);
  throw new InvalidInputError(
    "NON_FINITE",
    `tensor "${matrix.name}" has ${values[index]} at row ${row}, column ${column}; weights must be finite float32 numbers`,
    { tensor: matrix.name, row, column, value: String(values[index]) },
  );
}

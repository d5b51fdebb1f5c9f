import type { RowBlock } from "../compute/compute-backend.js";
import { scaleRows } from "../linalg/scale-rows.js";
import { widen } from "../linalg/widen.js";
import { assertFinite } from "./assert-finite.js";
import type { StoredMatrix } from "./stored-matrix.js";

/** Adds a block of a small side tensor (a scale, alpha) to the numbers seen of it. */
export function takeNumbers(seen: Float32Array | undefined, matrix: StoredMatrix, block: RowBlock): Float32Array {
  const numbers = seen ?? new Float32Array(matrix.rowCount * matrix.columnCount);
  const values = new Float32Array(block.rowCount * block.columnCount);
  widen(block.bytes, block.dtype, values);
  assertFinite(values, matrix, block);
  // Rows that a segment's end cut come twice, with zeros for the other part.
  const offset = block.rowBegin * matrix.columnCount;
  for (let i = 0; i < values.length; i++) numbers[offset + i] = (numbers[offset + i] as number) + (values[i] as number);
  return numbers;
}

/** The block times its scale: one number for all rows, or one for each. */
export function toScaled(block: RowBlock, scale: Float32Array): RowBlock {
  const values = new Float32Array(block.rowCount * block.columnCount);
  widen(block.bytes, block.dtype, values);
  scaleRows(values, block.columnCount, scale, block.rowBegin);
  return { ...block, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength), dtype: "F32" };
}

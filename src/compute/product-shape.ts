import { InternalError } from "../errors/probestream-error.js";
import type { RowBlock } from "./compute-backend.js";

/** Rows and columns of a matrix. */
export interface Extents {
  readonly rows: number;
  readonly columns: number;
}

/** Shape of the sum of Lᵀ·X·R for an X of `rows` × `columns`. */
export function toSumShape(
  { left, right }: { readonly left?: Extents | undefined; readonly right?: Extents | undefined },
  x: Extents,
): { rows: number; columns: number } {
  if (left === undefined && right === undefined) throw new InternalError("INTERNAL", "a product needs L or R");
  if (left !== undefined && left.rows !== x.rows) {
    throw new InternalError("INTERNAL", `L has ${left.rows} rows, X has ${x.rows}`);
  }
  if (right !== undefined && right.rows !== x.columns) {
    throw new InternalError("INTERNAL", `R has ${right.rows} rows, X has ${x.columns} columns`);
  }
  return { rows: left?.columns ?? x.rows, columns: right?.columns ?? x.columns };
}

/** Guards a running sum against a block that does not belong to its X; such a block is a fault of the caller. */
export function assertBlockFits(block: RowBlock, x: Extents, elementBytes: number): void {
  const { rowBegin, rowCount, columnCount, bytes } = block;
  if (columnCount !== x.columns || rowBegin < 0 || rowCount < 1 || rowBegin + rowCount > x.rows) {
    throw new InternalError(
      "INTERNAL",
      `a block of rows ${rowBegin} to ${rowBegin + rowCount} × ${columnCount} columns does not lie in ${x.rows} × ${x.columns}`,
    );
  }
  if (bytes.byteLength !== rowCount * columnCount * elementBytes) {
    throw new InternalError(
      "INTERNAL",
      `a block of ${rowCount} × ${columnCount} numbers of ${elementBytes} bytes has ${bytes.byteLength} bytes`,
    );
  }
}

import { type Dtype, dtypeBytes } from "../linalg/dtype.js";
import type { SelectedTensor } from "../weights/layer.js";

/** The streamed range of one tensor as a matrix: what is needed to make rows of its bytes. */
export interface StoredMatrix {
  /** Name of the tensor, for messages. */
  readonly name: string;
  readonly dtype: Dtype;
  /** Row of the tensor that the range begins with, for messages: not 0 where a slice is read. */
  readonly firstRow: number;
  readonly rowCount: number;
  /** Numbers per stored row. */
  readonly columnCount: number;
  /** Columns that are read; the others are skipped. */
  readonly columns: { readonly begin: number; readonly end: number };
  /** Of a LoRA's factor B: what the product is multiplied by, where no alpha says it. */
  readonly scale?: number;
}

/** The matrix that a selected tensor's range holds. */
export function toStoredMatrix(selected: SelectedTensor): StoredMatrix {
  const { tensor, beginByte, rowCount, columnCount, columns, scale } = selected;
  const firstRow = beginByte / (columnCount * dtypeBytes[tensor.dtype]);
  const matrix = { name: tensor.name, dtype: tensor.dtype, firstRow, rowCount, columnCount, columns };
  return scale === undefined ? matrix : { ...matrix, scale };
}

/** Bytes of one stored row. */
export function rowBytes({ columnCount, dtype }: StoredMatrix): number {
  return columnCount * dtypeBytes[dtype];
}

/** Bytes of the range. */
export function rangeBytes(matrix: StoredMatrix): number {
  return matrix.rowCount * rowBytes(matrix);
}

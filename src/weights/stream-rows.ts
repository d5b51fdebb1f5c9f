import { CorruptDataError, InvalidInputError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { dtypeBytes } from "../linalg/dtype.js";
import { widen } from "../linalg/widen.js";
import type { SelectedTensor } from "./layer.js";
import type { ModelFile } from "./model-file.js";

/** Consecutive whole rows of a tensor. */
export interface Rows {
  /** rowCount × the columns that are read; used again for the next ones. */
  readonly values: Float32Array;
  /** Index of the first row, from the range's first. */
  readonly rowBegin: number;
  readonly rowCount: number;
}

/** 1 MiB: a source's own piece. */
const blockBytes = 1_048_576;

/**
 * Streams a selected tensor as float32 rows, once, from first to last.
 *
 * Memory: a block of 1 MiB as it is stored and as float32, or one row where that is larger.
 *
 * @throws InvalidInputError `NON_FINITE` with tensor, row and column; what the file throws.
 */
export async function* streamRows(
  model: ModelFile,
  { tensor, beginByte, endByte, columnCount, columns }: SelectedTensor,
  signal?: AbortSignal,
): AsyncGenerator<Rows, void, undefined> {
  const rowBytes = columnCount * dtypeBytes[tensor.dtype];
  const rowsPerBlock = Math.max(1, Math.floor(blockBytes / rowBytes));
  const total = (endByte - beginByte) / rowBytes;
  const block = new Uint8Array(Math.min(total, rowsPerBlock) * rowBytes);
  const values = new Float32Array(block.length / dtypeBytes[tensor.dtype]);
  let filled = 0;
  let rowBegin = 0;
  const take = (): Rows => {
    const rowCount = filled / rowBytes;
    const found = values.subarray(0, rowCount * columnCount);
    widen(block.subarray(0, filled), tensor.dtype, found);
    assertFinite(found, tensor.name, rowBegin, columnCount);
    const rows = { values: takeColumns(found, columnCount, columns), rowBegin, rowCount };
    rowBegin += rowCount;
    filled = 0;
    return rows;
  };
  for await (const piece of model.streamTensor(tensor.name, beginByte, endByte, { signal })) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + block.length - filled);
      block.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled === block.length) yield take();
    }
  }
  if (filled > 0 && filled % rowBytes === 0) yield take();
  if (rowBegin === total) return;
  const message = `Tensor "${tensor.name}" of "${model.location}" ended after ${rowBegin} of ${total} rows. Read the file again.`;
  throw new CorruptDataError("CORRUPT", message, { tensor: tensor.name, rows: rowBegin });
}

/** Moves the columns that are read together, in place. */
function takeColumns(
  values: Float32Array,
  columnCount: number,
  { begin, end }: SelectedTensor["columns"],
): Float32Array {
  const width = end - begin;
  if (width === columnCount) return values;
  const rows = values.length / columnCount;
  for (let row = 0; row < rows; row++)
    values.copyWithin(row * width, row * columnCount + begin, row * columnCount + end);
  return values.subarray(0, rows * width);
}

function assertFinite(values: Float32Array, tensor: string, rowBegin: number, columnCount: number): void {
  if (allFinite(values)) return;
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  const [row, column] = [rowBegin + Math.floor(wrong / columnCount), wrong % columnCount];
  const message = `Tensor "${tensor}" has ${values[wrong]} at row ${row}, column ${column} of what is read; weights must be finite float32 numbers. Repair the model or leave it out.`;
  throw new InvalidInputError("NON_FINITE", message, { tensor, row, column });
}

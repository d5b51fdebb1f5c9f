import type { SelectedTensor } from "./layer.js";
import type { ModelFile } from "./model-file.js";
import { streamRows } from "./stream-rows.js";

/**
 * Reads a selected tensor whole, as float32: rows × the columns that are read.
 *
 * Memory: its numbers, and a block of 1 MiB.
 *
 * @throws as {@link streamRows}.
 */
export async function readRows(
  model: ModelFile,
  selected: SelectedTensor,
  signal?: AbortSignal,
): Promise<Float32Array<ArrayBuffer>> {
  const { rowCount, columns } = selected;
  const width = columns.end - columns.begin;
  const values = new Float32Array(rowCount * width);
  for await (const rows of streamRows(model, selected, signal)) values.set(rows.values, rows.rowBegin * width);
  return values;
}

import type { RowBlock } from "../compute/compute-backend.js";
import { dtypeBytes } from "../linalg/dtype.js";

/** The columns from `begin` to `end` of a block; all of them need no copy. */
export function sliceColumns(
  block: RowBlock,
  { begin, end }: { readonly begin: number; readonly end: number },
): RowBlock {
  const { bytes, dtype, rowCount, columnCount } = block;
  const wanted = end - begin;
  if (wanted === columnCount) return block;
  const size = dtypeBytes[dtype];
  const sliced = new Uint8Array(rowCount * wanted * size);
  for (let row = 0; row < rowCount; row++) {
    const from = (row * columnCount + begin) * size;
    sliced.set(bytes.subarray(from, from + wanted * size), row * wanted * size);
  }
  return { ...block, bytes: sliced, columnCount: wanted };
}

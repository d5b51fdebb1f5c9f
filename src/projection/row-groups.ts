import { segmentBytes, segmentEnd } from "./segments.js";

/**
 * Bytes of rows handed to a backend at a time. From 64 rows of 4096 float32 numbers (1 MiB) on, the product runs near its
 * full rate: 144 of 155 GFLOP/s measured with onnxruntime, 102 with 16 rows. With 2 MiB a server on two cores took 3.3 to
 * 3.7 CPU seconds per GB, 3.6 to 3.8 with 1 MiB: half as many products, messages between threads, and sums that are looked at.
 */
export const targetGroupBytes = 2 * 1024 * 1024;

/** Most rows handed to a backend at a time: bounds X·R, which has as many rows, where the rows of X are short. */
export const maxGroupRows = 2048;

/** Rows that are projected together. */
export function groupRowCount(rowBytes: number): number {
  return Math.min(maxGroupRows, Math.max(1, Math.floor(targetGroupBytes / rowBytes)));
}

/**
 * End of the row group that holds byte `offset` of a range of `length` bytes with rows of `rowBytes`.
 *
 * Groups are a function of the range alone, never of how it was cut into chunks, so that the same bytes give the same
 * sums bit for bit. Inside a segment: first what is left of a row that the previous segment began, then groups of
 * {@link groupRowCount} whole rows, last what the segment's end cuts off.
 */
export function groupEnd(offset: number, length: number, rowBytes: number): number {
  const begin = Math.floor(offset / segmentBytes) * segmentBytes;
  const end = segmentEnd(offset, length);
  const firstRow = Math.ceil(begin / rowBytes) * rowBytes;
  if (offset < firstRow) return Math.min(firstRow, end);
  const groupBytes = groupRowCount(rowBytes) * rowBytes;
  return Math.min(firstRow + (Math.floor((offset - firstRow) / groupBytes) + 1) * groupBytes, end);
}

import { type Dtype, dtypeBytes } from "../../../linalg/dtype.js";

/** What the strips of one block have in common. Addresses are 0 where a side is missing. */
export interface Job {
  readonly dtype: Dtype;
  /** Columns of X. */
  readonly columns: number;
  /** L, row-major. */
  readonly left: number;
  readonly leftColumns: number;
  /** R, in panels. */
  readonly right: number;
  readonly rightColumns: number;
}

/** Bytes of a job as the kernel reads it. */
export const jobBytes = 24;

/** Numbers of the element types in the kernel. F64 is rounded to F32 on its way into the memory. */
const dtypeCodes = {
  F64: 0,
  F32: 0,
  F16: 1,
  BF16: 2,
  F8_E4M3: 3,
  F8_E5M2: 4,
} as const satisfies Record<Dtype, number>;

/** Numbers of X in a strip: 512 KiB as float32, half of a common second cache. */
const stripNumbers = 131_072;
/** Fewest rows of a strip where a block has them, for R is read once per strip; most, for X·R has as many. */
const leastStripRows = 16;
const mostStripRows = 1024;

/** Columns of X that the kernel takes at a time, `sliceColumns` in `kernel/strip.ts`. */
const sliceColumns = 512;
/** Rows and columns of the kernel's tiles, see `kernel/tile.ts`. */
const tileRows = 4;
const tileColumns = 8;

/** The job as the kernel reads it, 32 bits per field. */
export function encodeJob({ dtype, columns, left, leftColumns, right, rightColumns }: Job): Uint32Array {
  return Uint32Array.of(columns, dtypeCodes[dtype], left, leftColumns, right, rightColumns);
}

/**
 * Rows of a block that are projected in one go, a multiple of four: as many as fit the second cache, and no more than
 * give each thread one. (A server's block of 16384 float32 columns has 16 rows; with these in one strip, two threads
 * reached 0.97 of the rate of one.)
 */
export function stripRowCount(
  { columns, rightColumns }: Pick<Job, "columns" | "rightColumns">,
  rowCount: number,
  threads: number,
): number {
  const fitting = Math.floor(stripNumbers / Math.max(columns, rightColumns) / tileRows) * tileRows;
  const share = Math.ceil(rowCount / threads / tileRows) * tileRows;
  return Math.min(mostStripRows, Math.max(leastStripRows, fitting), share);
}

/** Bytes of a number as it lies in the kernel's memory. */
export function stagedBytes(dtype: Dtype): number {
  return dtype === "F64" ? 4 : dtypeBytes[dtype];
}

/** Columns rounded up to whole panels. */
export function paddedColumns(columns: number): number {
  return Math.ceil(columns / tileColumns) * tileColumns;
}

/** Bytes of scratch memory for a strip of `rowCount` rows: a tile, the widened slice, and X·R or the packed slice. */
export function scratchBytes({ dtype, columns, right, rightColumns }: Job, rowCount: number): number {
  const rows = Math.ceil(rowCount / tileRows) * tileRows;
  const tile = tileRows * tileColumns * 4;
  const slice = stagedBytes(dtype) === 4 ? 0 : rowCount * sliceColumns * 4;
  const panels = paddedColumns(right === 0 ? Math.min(sliceColumns, columns) : rightColumns) * rows * 4;
  return tile + slice + panels;
}

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
export const dtypeCodes = {
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

/** Fewest operations worth another thread, some 0.1 ms; waking one took LoRA pairs of 2 million more than it saved. */
const leastShareOperations = 4e6;

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
 * give each thread one, where that is enough to do. (A server's block of 16384 float32 columns has 16 rows; with these
 * in one strip, two threads reached the rate of one.)
 */
export function stripRowCount(job: Job, rowCount: number, threads: number): number {
  const { columns, rightColumns } = job;
  const fitting = Math.floor(stripNumbers / Math.max(columns, rightColumns) / tileRows) * tileRows;
  const shares = Math.min(threads, Math.max(1, Math.floor((rowCount * operationsPerRow(job)) / leastShareOperations)));
  const share = Math.ceil(rowCount / shares / tileRows) * tileRows;
  return Math.min(mostStripRows, Math.max(leastStripRows, fitting), share);
}

/** Multiplications and additions that a row of X costs. */
function operationsPerRow({ columns, leftColumns, right, rightColumns }: Job): number {
  return right === 0 ? 2 * columns * leftColumns : 2 * rightColumns * (columns + leftColumns);
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

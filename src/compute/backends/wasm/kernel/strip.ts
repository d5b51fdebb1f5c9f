import { packPanels, panelCount } from "./panel";
import { addLeft, addRows } from "./sum";
import { multiplyTile, tileRowBytes, tileRows } from "./tile";
import { Dtype, dtypeBytes, widen } from "./widen";

/** Columns of X that are taken at a time: a panel of R that deep fills 16 KiB of the first cache. */
const sliceColumns: usize = 512;

/** What all strips of one product have in common; written by `../job.ts`, 32 bits each. */
@unmanaged
class Job {
  /** Columns of X. */
  columns: usize;
  dtype: Dtype;
  /** Address of L, row-major; 0 without. */
  left: usize;
  leftColumns: usize;
  /** Address of R in panels; 0 without. */
  right: usize;
  rightColumns: usize;
}

/**
 * Adds one strip, `rowCount` rows of X that begin at row `rowBegin` and lie at `source`, to a float64 sum.
 *
 * `scratch` holds, one after the other, a tile; a slice of the strip as float32, where X is narrower; and T = X·R, or
 * without R the slice itself, in panels. `../job.ts` reckons its size.
 */
export function addStrip(
  address: usize,
  source: usize,
  rowBegin: usize,
  rowCount: usize,
  scratch: usize,
  sum: usize,
): void {
  const job = changetype<Job>(address);
  const columns: usize = job.columns;
  const wide = scratch + tileRows * tileRowBytes;
  const t = wide + (job.dtype == Dtype.F32 ? 0 : rowCount * sliceColumns * 4);
  // The last tile of T may be higher than what is left of the strip.
  const panelBytes = ((rowCount + tileRows - 1) / tileRows) * tileRows * tileRowBytes;
  const sumRowBytes: usize = 8 * (job.right != 0 ? job.rightColumns : job.columns);
  for (let begin: usize = 0; begin < columns; begin += sliceColumns) {
    const width = min(sliceColumns, columns - begin);
    let slice = source + begin * 4;
    let rowBytes = columns * 4;
    if (job.dtype != Dtype.F32) {
      widenSlice(job, source, begin, width, rowCount, wide);
      slice = wide;
      rowBytes = sliceColumns * 4;
    }
    if (job.right != 0) {
      multiplySlice(job, slice, rowBytes, begin, width, rowCount, t, panelBytes);
    } else {
      packPanels(slice, rowBytes, rowCount, width, t, panelBytes);
      addToSum(job, t, panelBytes, rowBegin, rowCount, width, sum + begin * 8, sumRowBytes, scratch);
    }
  }
  if (job.right != 0) {
    addToSum(job, t, panelBytes, rowBegin, rowCount, job.rightColumns, sum, sumRowBytes, scratch);
  }
}

/** Widens the columns from `begin` on, row by row, to `target`. */
function widenSlice(job: Job, source: usize, begin: usize, width: usize, rowCount: usize, target: usize): void {
  const numberBytes = dtypeBytes(job.dtype);
  for (let row: usize = 0; row < rowCount; row++) {
    const from = source + (row * job.columns + begin) * numberBytes;
    widen(from, job.dtype, width, target + row * sliceColumns * 4);
  }
}

/**
 * T = X[:, slice]·R[slice, :] for the first slice, T += for the others. A panel of R stays in the first cache while all
 * rows of the strip pass it.
 */
function multiplySlice(
  job: Job,
  slice: usize,
  rowBytes: usize,
  begin: usize,
  width: usize,
  rowCount: usize,
  t: usize,
  panelBytes: usize,
): void {
  const rightPanelBytes = job.columns * tileRowBytes;
  const panels = panelCount(job.rightColumns);
  const last = slice + (rowCount - 1) * rowBytes;
  for (let panel: usize = 0; panel < panels; panel++) {
    const b = job.right + panel * rightPanelBytes + begin * tileRowBytes;
    const out = t + panel * panelBytes;
    for (let row: usize = 0; row < rowCount; row += tileRows) {
      const a = slice + row * rowBytes;
      // Rows past the end of the strip repeat its last; nobody reads what comes of them.
      const a1 = min(a + rowBytes, last);
      const a2 = min(a1 + rowBytes, last);
      const a3 = min(a2 + rowBytes, last);
      multiplyTile(a, a1, a2, a3, 4, b, width, out + row * tileRowBytes, begin > 0);
    }
  }
}

/** Adds Lᵀ·T, or T where there is no L. */
function addToSum(
  job: Job,
  t: usize,
  panelBytes: usize,
  rowBegin: usize,
  rowCount: usize,
  columns: usize,
  sum: usize,
  sumRowBytes: usize,
  tile: usize,
): void {
  if (job.left == 0) {
    addRows(t, panelBytes, rowCount, columns, sum + rowBegin * sumRowBytes, sumRowBytes);
  } else {
    const left = job.left + rowBegin * job.leftColumns * 4;
    addLeft(left, job.leftColumns, t, panelBytes, rowCount, columns, sum, sumRowBytes, tile);
  }
}

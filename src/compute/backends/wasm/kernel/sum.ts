import { panelCount } from "./panel";
import { multiplyTile, tileColumns, tileRowBytes, tileRows } from "./tile";

/** Rows that are added up in float32 before they go into the float64 sum. */
const depthOfTile: usize = 512;

/**
 * sum[i, j] += Σ_row L[row, i] · T[row, j]. The sum is float64, `sumRowBytes` from row to row. L is float32, row-major
 * with `leftColumns` columns, from the rows' first on; T is `columns` wide in panels of `panelBytes`. `tile` is room
 * for one tile.
 */
export function addLeft(
  left: usize,
  leftColumns: usize,
  t: usize,
  panelBytes: usize,
  rowCount: usize,
  columns: usize,
  sum: usize,
  sumRowBytes: usize,
  tile: usize,
): void {
  const step = leftColumns * 4;
  const panels = panelCount(columns);
  for (let begin: usize = 0; begin < rowCount; begin += depthOfTile) {
    const depth = min(depthOfTile, rowCount - begin);
    for (let panel: usize = 0; panel < panels; panel++) {
      const b = t + panel * panelBytes + begin * tileRowBytes;
      const width = min(tileColumns, columns - panel * tileColumns);
      for (let i: usize = 0; i < leftColumns; i += tileRows) {
        const a = left + begin * step + i * 4;
        // Where fewer than four columns of L are left, the tile's other rows come from what follows and are not used.
        multiplyTile(a, a + 4, a + 8, a + 12, step, b, depth, tile, false);
        const height = min(tileRows, leftColumns - i);
        const corner = sum + i * sumRowBytes + panel * tileColumns * 8;
        for (let row: usize = 0; row < height; row++) addRow(corner + row * sumRowBytes, tile + row * tileRowBytes, width);
      }
    }
  }
}

/** sum[row, j] += T[row, j], T in panels as for {@link addLeft}. */
export function addRows(
  t: usize,
  panelBytes: usize,
  rowCount: usize,
  columns: usize,
  sum: usize,
  sumRowBytes: usize,
): void {
  const panels = panelCount(columns);
  for (let panel: usize = 0; panel < panels; panel++) {
    const width = min(tileColumns, columns - panel * tileColumns);
    const from = t + panel * panelBytes;
    const to = sum + panel * tileColumns * 8;
    for (let row: usize = 0; row < rowCount; row++) addRow(to + row * sumRowBytes, from + row * tileRowBytes, width);
  }
}

/** Adds up to eight float32 numbers to as many float64 sums. */
@inline
function addRow(sum: usize, numbers: usize, width: usize): void {
  if (width == tileColumns) {
    addPair(sum, numbers);
    addPair(sum + 16, numbers + 8);
    addPair(sum + 32, numbers + 16);
    addPair(sum + 48, numbers + 24);
  } else {
    for (let i: usize = 0; i < width; i++) {
      store<f64>(sum + i * 8, load<f64>(sum + i * 8) + <f64>load<f32>(numbers + i * 4));
    }
  }
}

@inline
function addPair(sum: usize, numbers: usize): void {
  v128.store(sum, f64x2.add(v128.load(sum), f64x2.promote_low_f32x4(v128.load64_zero(numbers))));
}

/** Sets `count` float64 numbers to zero. */
export function clearSum(sum: usize, count: usize): void {
  memory.fill(sum, 0, count * 8);
}

/** target += source for `count` float64 numbers; an odd count adds one more, so sums are padded to 16 bytes. */
export function addSums(target: usize, source: usize, count: usize): void {
  for (let i: usize = 0; i < count; i += 2) {
    const at = i * 8;
    v128.store(target + at, f64x2.add(v128.load(target + at), v128.load(source + at)));
  }
}

/** Whether `count` float64 numbers are finite as float32: x · 0 is 0 for finite x and NaN otherwise. */
export function isFiniteSum(sum: usize, count: usize): bool {
  let zero = f32x4.splat(0);
  const pairs = count / 2;
  for (let i: usize = 0; i < pairs; i++) {
    zero = f32x4.add(zero, f32x4.mul(f32x4.demote_f64x2_zero(v128.load(sum + i * 16)), f32x4.splat(0)));
  }
  let rest = f32x4.extract_lane(zero, 0) + f32x4.extract_lane(zero, 1);
  if (count % 2 == 1) rest += <f32>load<f64>(sum + (count - 1) * 8) * 0;
  return rest == 0;
}

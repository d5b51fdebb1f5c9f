import { Dtype, dtypeBytes, widen } from "../../../compute/backends/wasm/kernel/widen";

/** Numbers of a row of the sketch, and of what is widened at a time: a multiple of it. */
const buckets: usize = 64;
const sliceColumns: usize = 512;

/**
 * Adds rows of X, which belong to one block of the sketch, to its 64 float64 sums: per row Σⱼ signⱼ·xⱼ into bucket
 * j mod 64, and the row with its own sign into the sums. Within a row float32, between rows float64.
 *
 * @param source the rows, row-major, at any address; up to three numbers after the last are read.
 * @param columnSigns a float32 per column, and zeros up to a multiple of 64.
 * @param rowSigns a float64 per row.
 * @param scratch 512 float32 numbers to widen into; rows of float32 that are no multiple of 64 wide are copied there too.
 */
export function sketchRows(
  source: usize,
  dtype: Dtype,
  columns: usize,
  rowCount: usize,
  columnSigns: usize,
  rowSigns: usize,
  scratch: usize,
  row64: usize,
  sums: usize,
): void {
  const numberBytes = dtypeBytes(dtype);
  for (let row: usize = 0; row < rowCount; row++) {
    memory.fill(row64, 0, buckets * 4);
    for (let begin: usize = 0; begin < columns; begin += sliceColumns) {
      const width = min(sliceColumns, columns - begin);
      let from = source + (row * columns + begin) * numberBytes;
      const padded = (width + buckets - 1) & ~(buckets - 1);
      if (dtype != Dtype.F32) {
        widen(from, dtype, width, scratch);
        if (padded != width) memory.fill(scratch + width * 4, 0, (padded - width) * 4);
        from = scratch;
      } else if (padded != width) {
        memory.copy(scratch, from, width * 4);
        memory.fill(scratch + width * 4, 0, (padded - width) * 4);
        from = scratch;
      }
      // Two halves of eight registers each.
      addHalf(from, columnSigns + begin * 4, padded, row64);
      addHalf(from + 128, columnSigns + begin * 4 + 128, padded, row64 + 128);
    }
    const sign = f64x2.splat(load<f64>(rowSigns + row * 8));
    for (let at: usize = 0; at < buckets * 4; at += 8) {
      const pair = f64x2.promote_low_f32x4(v128.load64_zero(row64 + at));
      const sum = sums + at * 2;
      v128.store(sum, f64x2.add(v128.load(sum), f64x2.mul(sign, pair)));
    }
  }
}

/** Adds every second run of 32 products of numbers and signs to 32 sums. */
@inline
function addHalf(from: usize, signs: usize, padded: usize, sums: usize): void {
  let s0 = v128.load(sums);
  let s1 = v128.load(sums, 16);
  let s2 = v128.load(sums, 32);
  let s3 = v128.load(sums, 48);
  let s4 = v128.load(sums, 64);
  let s5 = v128.load(sums, 80);
  let s6 = v128.load(sums, 96);
  let s7 = v128.load(sums, 112);
  for (let at: usize = 0; at < padded * 4; at += buckets * 4) {
    const x = from + at;
    const s = signs + at;
    s0 = f32x4.add(s0, f32x4.mul(v128.load(x), v128.load(s)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(x, 16), v128.load(s, 16)));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(x, 32), v128.load(s, 32)));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(x, 48), v128.load(s, 48)));
    s4 = f32x4.add(s4, f32x4.mul(v128.load(x, 64), v128.load(s, 64)));
    s5 = f32x4.add(s5, f32x4.mul(v128.load(x, 80), v128.load(s, 80)));
    s6 = f32x4.add(s6, f32x4.mul(v128.load(x, 96), v128.load(s, 96)));
    s7 = f32x4.add(s7, f32x4.mul(v128.load(x, 112), v128.load(s, 112)));
  }
  v128.store(sums, s0);
  v128.store(sums, s1, 16);
  v128.store(sums, s2, 32);
  v128.store(sums, s3, 48);
  v128.store(sums, s4, 64);
  v128.store(sums, s5, 80);
  v128.store(sums, s6, 96);
  v128.store(sums, s7, 112);
}

/**
 * Inner products of all pairs of rows, as float64, both halves: out is rows × rows.
 *
 * @param source rows × columns float32 numbers; columns are a multiple of 4.
 */
export function gram(source: usize, rows: usize, columns: usize, out: usize): void {
  const rowBytes = columns * 4;
  for (let i: usize = 0; i < rows; i++) {
    const a = source + i * rowBytes;
    let j = i;
    // Four rows at a time share the loads of the first.
    for (; j + 4 <= rows; j += 4) {
      const b = source + j * rowBytes;
      let s0 = f32x4.splat(0);
      let s1 = f32x4.splat(0);
      let s2 = f32x4.splat(0);
      let s3 = f32x4.splat(0);
      for (let at: usize = 0; at < rowBytes; at += 16) {
        const x = v128.load(a + at);
        s0 = f32x4.add(s0, f32x4.mul(x, v128.load(b + at)));
        s1 = f32x4.add(s1, f32x4.mul(x, v128.load(b + rowBytes + at)));
        s2 = f32x4.add(s2, f32x4.mul(x, v128.load(b + 2 * rowBytes + at)));
        s3 = f32x4.add(s3, f32x4.mul(x, v128.load(b + 3 * rowBytes + at)));
      }
      put(out, rows, i, j, s0);
      put(out, rows, i, j + 1, s1);
      put(out, rows, i, j + 2, s2);
      put(out, rows, i, j + 3, s3);
    }
    for (; j < rows; j++) {
      const b = source + j * rowBytes;
      let s = f32x4.splat(0);
      for (let at: usize = 0; at < rowBytes; at += 16) s = f32x4.add(s, f32x4.mul(v128.load(a + at), v128.load(b + at)));
      put(out, rows, i, j, s);
    }
  }
}

/** Stores the sum of four lanes at (i, j) and (j, i). */
@inline
function put(out: usize, rows: usize, i: usize, j: usize, lanes: v128): void {
  const low = f64x2.promote_low_f32x4(lanes);
  const high = f64x2.promote_low_f32x4(i8x16.shuffle(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15));
  const sum = f64x2.add(low, high);
  const total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  store<f64>(out + (i * rows + j) * 8, total);
  store<f64>(out + (j * rows + i) * 8, total);
}

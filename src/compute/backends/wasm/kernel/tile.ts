/** Rows of a tile. */
export const tileRows: usize = 4;
/** Columns of a tile, which is also the width of a panel. */
export const tileColumns: usize = 8;
/** Bytes of a row of a tile. */
export const tileRowBytes: usize = tileColumns * 4;

/** c + a · b per lane; fused, with one rounding, where the build has relaxed SIMD. */
@inline
function addProduct(c: v128, a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/**
 * out = A·B, or out += A·B if `adds`, for one tile of 4 × 8 numbers: eight accumulators of four lanes, two registers
 * for B and one or two for A fit the 16 that x86 has for 128-bit lanes.
 *
 * A is 4 × depth: its row i begins at `a` + `rowBytes[i]`, neighbours in a row are `stepBytes` apart. B is a panel,
 * depth × 8, row by row. `out` is 4 × 8, row by row.
 */
export function multiplyTile(
  a0: usize,
  a1: usize,
  a2: usize,
  a3: usize,
  stepBytes: usize,
  b: usize,
  depth: usize,
  out: usize,
  adds: bool,
): void {
  let c00 = f32x4.splat(0);
  let c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0);
  let c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0);
  let c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0);
  let c31 = f32x4.splat(0);
  const end = b + depth * tileRowBytes;
  while (b < end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let a = v128.load32_splat(a0);
    c00 = addProduct(c00, a, b0);
    c01 = addProduct(c01, a, b1);
    a = v128.load32_splat(a1);
    c10 = addProduct(c10, a, b0);
    c11 = addProduct(c11, a, b1);
    a = v128.load32_splat(a2);
    c20 = addProduct(c20, a, b0);
    c21 = addProduct(c21, a, b1);
    a = v128.load32_splat(a3);
    c30 = addProduct(c30, a, b0);
    c31 = addProduct(c31, a, b1);
    a0 += stepBytes;
    a1 += stepBytes;
    a2 += stepBytes;
    a3 += stepBytes;
    b += tileRowBytes;
  }
  if (adds) {
    c00 = f32x4.add(c00, v128.load(out));
    c01 = f32x4.add(c01, v128.load(out, 16));
    c10 = f32x4.add(c10, v128.load(out, 32));
    c11 = f32x4.add(c11, v128.load(out, 48));
    c20 = f32x4.add(c20, v128.load(out, 64));
    c21 = f32x4.add(c21, v128.load(out, 80));
    c30 = f32x4.add(c30, v128.load(out, 96));
    c31 = f32x4.add(c31, v128.load(out, 112));
  }
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out, c10, 32);
  v128.store(out, c11, 48);
  v128.store(out, c20, 64);
  v128.store(out, c21, 80);
  v128.store(out, c30, 96);
  v128.store(out, c31, 112);
}

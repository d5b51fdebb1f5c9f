/** Element types, numbered as in `../kernel.ts`. */
export enum Dtype {
  F32 = 0,
  F16 = 1,
  BF16 = 2,
  F8_E4M3 = 3,
  F8_E5M2 = 4,
}

/** Bytes of a stored number. */
@inline
export function dtypeBytes(dtype: Dtype): usize {
  if (dtype == Dtype.F32) return 4;
  return dtype <= Dtype.BF16 ? 2 : 1;
}

/**
 * Widens `count` numbers to float32, exactly, four at a time: up to three numbers after the last are read and written
 * too. Numbers may lie at any address.
 */
export function widen(source: usize, dtype: Dtype, count: usize, target: usize): void {
  const end = target + count * 4;
  if (dtype == Dtype.BF16) {
    for (; target < end; target += 16, source += 8) v128.store(target, i32x4.shl(v128.load16x4_u(source), 16));
  } else if (dtype == Dtype.F16) {
    for (; target < end; target += 16, source += 8) v128.store(target, fromFloat16(v128.load16x4_u(source)));
  } else if (dtype == Dtype.F8_E5M2) {
    // E5M2 is float16 without the lower byte.
    for (; target < end; target += 16, source += 4) v128.store(target, fromFloat16(i32x4.shl(loadBytes(source), 8)));
  } else if (dtype == Dtype.F8_E4M3) {
    for (; target < end; target += 16, source += 4) v128.store(target, fromE4M3(loadBytes(source)));
  }
}

/** Four bytes, one per lane. */
@inline
function loadBytes(source: usize): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(source)));
}

/** Float32 of the float16 bits in each lane. */
@inline
function fromFloat16(bits: v128): v128 {
  const magnitude = v128.and(bits, i32x4.splat(0x7fff));
  const finite = toFloat(magnitude, 13, 15, 0x400);
  // The highest exponent means infinity and NaN in both formats.
  const top = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x7bff)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(finite, top), i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16));
}

/** Float32 of the E4M3FN bits in each lane: no infinities, NaN only where all bits but the sign are set. */
@inline
function fromE4M3(bits: v128): v128 {
  const magnitude = v128.and(bits, i32x4.splat(0x7f));
  const number = toFloat(magnitude, 20, 7, 0x8);
  const nan = v128.and(i32x4.eq(magnitude, i32x4.splat(0x7f)), i32x4.splat(0x7fc00000));
  return v128.or(v128.or(number, nan), i32x4.shl(v128.and(bits, i32x4.splat(0x80)), 24));
}

/**
 * Moves exponent and mantissa into place and changes the exponent's bias. Subnormal numbers, which are those below
 * `firstNormal`, get a leading one that a subtraction takes off again: float32 subnormals would do too, but cost some
 * processors a hundred cycles each.
 */
@inline
function toFloat(magnitude: v128, shift: i32, bias: i32, firstNormal: i32): v128 {
  const rebias = (127 - bias) << 23;
  const normal = i32x4.add(i32x4.shl(magnitude, shift), i32x4.splat(rebias));
  const one = i32x4.splat(1 << 23);
  const subnormal = f32x4.sub(i32x4.add(normal, one), i32x4.add(i32x4.splat(rebias), one));
  return v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(firstNormal)));
}

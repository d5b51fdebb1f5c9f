import type { Dtype } from "../../linalg/dtype.js";

/** Bits of the mantissa, smallest exponent of a normal number, and largest finite number. */
interface FloatFormat {
  readonly mantissaBits: number;
  readonly leastExponent: number;
  readonly largest: number;
}

const formats = {
  F64: { mantissaBits: 52, leastExponent: -1022, largest: Number.MAX_VALUE },
  F32: { mantissaBits: 23, leastExponent: -126, largest: (2 - 2 ** -23) * 2 ** 127 },
  F16: { mantissaBits: 10, leastExponent: -14, largest: 65_504 },
  BF16: { mantissaBits: 7, leastExponent: -126, largest: (2 - 2 ** -7) * 2 ** 127 },
  F8_E4M3: { mantissaBits: 3, leastExponent: -6, largest: 448 },
  F8_E5M2: { mantissaBits: 2, leastExponent: -14, largest: 57_344 },
} as const satisfies Record<Dtype, FloatFormat>;

const word = new Float32Array(1);
const bits = new Uint32Array(word.buffer);

/**
 * Distance from a stored number to the next one of its type: what was rounded to it lies within half of that. F64 counts
 * as F32, which it is read as. At a power of two it is the wider of the two distances.
 */
export function toCellWidth(value: number, dtype: Dtype): number {
  const { mantissaBits, leastExponent } = formats[dtype === "F64" ? "F32" : dtype];
  word[0] = value;
  const exponent = (((bits[0] as number) >>> 23) & 0xff) - 127;
  return 2 ** (Math.max(exponent, leastExponent) - mantissaBits);
}

/** Whether a number lies beyond what a type has, so that it becomes its largest one, or infinite. */
export function isBeyond(value: number, dtype: Dtype): boolean {
  return Math.abs(value) >= formats[dtype].largest;
}

/** Root mean square of the rounding of numbers, as a share of their own, at most: 2^-(mantissa bits + 1) / √3. */
export function toRoundingShare(dtype: Dtype): number {
  return 2 ** -(formats[dtype === "F64" ? "F32" : dtype].mantissaBits + 1) / Math.sqrt(3);
}

import { type Dtype, dtypeBytes } from "./dtype.js";

let float16Bits: Uint32Array | undefined;

/** Bit pattern of the float32 equal to each float16, by the bits of the latter. 256 KiB, and 5 ms to fill: at first use. */
function toFloat16Bits(): Uint32Array {
  if (float16Bits !== undefined) return float16Bits;
  float16Bits = new Uint32Array(65_536);
  for (let bits = 0; bits < 65_536; bits++) float16Bits[bits] = smallFloatBits(bits, 5, 10, true);
  return float16Bits;
}

/** Float32 bits of each E5M2 number: float16 with the lower mantissa byte cut off. */
const float8E5M2Bits = Uint32Array.from({ length: 256 }, (_, bits) => smallFloatBits(bits, 5, 2, true));

/** Float32 bits of each E4M3FN number: no infinities, NaN only where all bits but the sign are set. */
const float8E4M3Bits = Uint32Array.from({ length: 256 }, (_, bits) =>
  (bits & 0x7f) === 0x7f ? 0x7fc00000 : smallFloatBits(bits, 4, 3, false),
);

/**
 * Widens stored numbers to float32: exact for every type but F64, which is rounded to nearest.
 *
 * Shapes: `bytes` holds n little-endian elements of `dtype`, n · {@link dtypeBytes} bytes, at any alignment; `target`
 * takes n numbers. Memory: none, but F64, F32 and 16-bit input at an odd address is copied first.
 */
export function widen(bytes: Uint8Array, dtype: Dtype, target: Float32Array): void {
  const count = bytes.byteLength / dtypeBytes[dtype];
  const { buffer, byteOffset } = toAligned(bytes, dtypeBytes[dtype]);
  switch (dtype) {
    case "F32":
      target.set(new Float32Array(buffer, byteOffset, count));
      return;
    case "F64":
      target.set(new Float64Array(buffer, byteOffset, count));
      return;
    case "F16":
      lookUp(new Uint16Array(buffer, byteOffset, count), toFloat16Bits(), target);
      return;
    case "BF16": {
      const source = new Uint16Array(buffer, byteOffset, count);
      const out = new Uint32Array(target.buffer, target.byteOffset, count);
      for (let i = 0; i < count; i++) out[i] = (source[i] as number) << 16;
      return;
    }
    case "F8_E4M3":
      lookUp(bytes, float8E4M3Bits, target);
      return;
    case "F8_E5M2":
      lookUp(bytes, float8E5M2Bits, target);
      return;
  }
}

function lookUp(source: Uint8Array | Uint16Array, table: Uint32Array, target: Float32Array): void {
  const out = new Uint32Array(target.buffer, target.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) out[i] = table[source[i] as number] as number;
}

function toAligned(bytes: Uint8Array, alignment: number): Uint8Array {
  // Not `slice`, which for a Buffer is a view.
  return bytes.byteOffset % alignment === 0 ? bytes : new Uint8Array(bytes);
}

/** Float32 bits of a narrower IEEE-like number with `exponentWidth` exponent and `mantissaWidth` mantissa bits. */
function smallFloatBits(bits: number, exponentWidth: number, mantissaWidth: number, hasInfinity: boolean): number {
  const sign = (bits >>> (exponentWidth + mantissaWidth)) & 1;
  const exponent = (bits >>> mantissaWidth) & ((1 << exponentWidth) - 1);
  const mantissa = bits & ((1 << mantissaWidth) - 1);
  const bias = (1 << (exponentWidth - 1)) - 1;
  let word: number;
  if (hasInfinity && exponent === (1 << exponentWidth) - 1) {
    word = (0xff << 23) | (mantissa << (23 - mantissaWidth));
  } else if (exponent !== 0) {
    word = ((exponent - bias + 127) << 23) | (mantissa << (23 - mantissaWidth));
  } else if (mantissa === 0) {
    word = 0;
  } else {
    // Subnormal: shift the leading one into place.
    const shift = Math.clz32(mantissa) - (31 - mantissaWidth);
    word =
      ((1 - bias - shift + 127) << 23) | (((mantissa << shift) & ((1 << mantissaWidth) - 1)) << (23 - mantissaWidth));
  }
  return ((sign << 31) | word) >>> 0;
}

import { type Dtype, dtypeBytes } from "../../src/linalg/dtype.js";
import { createRandom } from "./random.js";

/** Widths of a float format with a sign bit; `hasInfinity` is false where the highest exponent holds numbers too. */
interface FloatFormat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly hasInfinity: boolean;
}

const formats = {
  F16: { exponentBits: 5, mantissaBits: 10, hasInfinity: true },
  BF16: { exponentBits: 8, mantissaBits: 7, hasInfinity: true },
  F8_E4M3: { exponentBits: 4, mantissaBits: 3, hasInfinity: false },
  F8_E5M2: { exponentBits: 5, mantissaBits: 2, hasInfinity: true },
} as const satisfies Partial<Record<Dtype, FloatFormat>>;

/** Element types narrower than float32. */
export type NarrowDtype = keyof typeof formats;

/** The number that a bit pattern stands for, by the definition of its format: (-1)^s · 2^(e - bias) · 1.m. */
export function decodeBits(bits: number, dtype: NarrowDtype): number {
  const { exponentBits, mantissaBits, hasInfinity } = formats[dtype];
  const sign = Math.floor(bits / 2 ** (exponentBits + mantissaBits)) === 1 ? -1 : 1;
  const exponent = Math.floor(bits / 2 ** mantissaBits) % 2 ** exponentBits;
  const fraction = (bits % 2 ** mantissaBits) / 2 ** mantissaBits;
  const highest = exponent === 2 ** exponentBits - 1;
  if (highest && hasInfinity) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (highest && fraction === 1 - 2 ** -mantissaBits) return Number.NaN;
  const bias = 2 ** (exponentBits - 1) - 1;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** What patterns of 16 or 8 bits stand for, as far as they were asked for; NaN where not. */
const decoded = new Map<NarrowDtype, Float64Array>();

/** As {@link decodeBits}, each pattern worked out once. */
function decodeOnce(bits: number, known: Float64Array, dtype: NarrowDtype): number {
  const value = known[bits] ?? Number.NaN;
  if (!Number.isNaN(value)) return value;
  known[bits] = decodeBits(bits, dtype);
  return known[bits];
}

function knownOf(dtype: NarrowDtype): Float64Array {
  const known = decoded.get(dtype) ?? new Float64Array(256 ** dtypeBytes[dtype]).fill(Number.NaN);
  decoded.set(dtype, known);
  return known;
}

/** Stored numbers as float64, decoded one by one; F64 is rounded to float32, as every backend does first. */
export function decode(bytes: Uint8Array, dtype: Dtype): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = dtypeBytes[dtype];
  const values = new Float64Array(bytes.byteLength / size);
  const known = dtype === "F64" || dtype === "F32" ? undefined : knownOf(dtype);
  for (let i = 0; i < values.length; i++) {
    const at = i * size;
    if (dtype === "F64") values[i] = Math.fround(view.getFloat64(at, true));
    else if (dtype === "F32") values[i] = view.getFloat32(at, true);
    else if (known !== undefined)
      values[i] = decodeOnce(size === 2 ? view.getUint16(at, true) : view.getUint8(at), known, dtype);
  }
  return values;
}

/** All element types. */
export const dtypes = Object.keys(dtypeBytes) as readonly Dtype[];

/** Seeded bytes of finite numbers of about 2^-3 to 2^3 in any element type. */
export function randomNumbers(count: number, dtype: Dtype, seed: number): Uint8Array<ArrayBuffer> {
  const random = createRandom(seed);
  const size = dtypeBytes[dtype];
  const bytes = new Uint8Array(count * size);
  const view = new DataView(bytes.buffer);
  const isWide = dtype === "F64" || dtype === "F32";
  const { exponentBits, mantissaBits } = formats[isWide ? "F16" : dtype];
  const [bias, signPlace, exponentPlace] = [
    2 ** (exponentBits - 1) - 1,
    2 ** (exponentBits + mantissaBits),
    2 ** mantissaBits,
  ];
  for (let i = 0; i < count; i++) {
    const at = i * size;
    const sign = random() < 0.5 ? 1 : 0;
    const power = Math.floor(random() * 7) - 3;
    const fraction = random();
    if (isWide) {
      const value = (1 - 2 * sign) * (1 + fraction) * 2 ** power;
      if (dtype === "F64") view.setFloat64(at, value, true);
      else view.setFloat32(at, value, true);
      continue;
    }
    const bits = sign * signPlace + (power + bias) * exponentPlace + Math.floor(fraction * exponentPlace);
    if (size === 2) view.setUint16(at, bits, true);
    else view.setUint8(at, bits);
  }
  return bytes;
}

/** Bytes of one NaN or infinity; undefined where the type has none. */
export function nonFiniteBytes(dtype: Dtype, value: number): Uint8Array | undefined {
  const bytes = new Uint8Array(dtypeBytes[dtype]);
  const view = new DataView(bytes.buffer);
  const wantsNan = Number.isNaN(value);
  if (dtype === "F64") view.setFloat64(0, value, true);
  else if (dtype === "F32") view.setFloat32(0, value, true);
  else if (dtype === "F8_E4M3") {
    if (!wantsNan) return undefined;
    view.setUint8(0, 0x7f);
  } else {
    const { exponentBits, mantissaBits } = formats[dtype];
    const bits =
      (value < 0 ? 2 ** (exponentBits + mantissaBits) : 0) +
      (2 ** exponentBits - 1) * 2 ** mantissaBits +
      (wantsNan ? 2 ** (mantissaBits - 1) : 0);
    if (bytes.length === 2) view.setUint16(0, bits, true);
    else view.setUint8(0, bits);
  }
  return bytes;
}

/** The content of a message of Protocol Buffers, in parts that follow one another. */
export type Parts = readonly Uint8Array[];

/** How a field's value is written, by the numbers of the specification. */
const [varint, lengthDelimited, fixed32] = [0, 2, 5];

const utf8 = new TextEncoder();

/**
 * The fields that ONNX models are made of, each as its key and its value. Protobuf-es writes the same bytes, but its 66
 * modules take every worker thread 80 ms of CPU to load, and it copies a constant once for each message around it.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export const fields = {
  /** A whole number of 64 bits; negative ones take ten bytes. */
  whole: (number: number, value: number): Uint8Array => toVarints(toKey(number, varint), value),
  /** A number of 32 bits, rounded to them. */
  real: (number: number, value: number): Parts => [
    toVarints(toKey(number, fixed32)),
    new Uint8Array(Float32Array.of(value).buffer),
  ],
  /** A text. */
  text: (number: number, value: string): Parts => fields.nested(number, [utf8.encode(value)]),
  /** A message, or bytes as they are: none is copied. */
  nested: (number: number, parts: Parts): Parts => [
    toVarints(toKey(number, lengthDelimited), lengthOf(parts)),
    ...parts,
  ],
} as const;

/** The parts as one piece. */
export function concatenate(parts: Parts): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function lengthOf(parts: Parts): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function toKey(number: number, type: number): number {
  return number * 8 + type;
}

/** Seven bits a byte, the lowest first; all but the last byte of a number have the highest bit set. */
function toVarints(...values: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (const value of values) {
    if (value >= 0 && value < 2 ** 31) {
      let rest = value;
      for (; rest > 0x7f; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
      bytes.push(rest);
      continue;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
  }
  return new Uint8Array(bytes);
}

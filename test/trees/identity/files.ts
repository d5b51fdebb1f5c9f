import type { TensorData } from "../../../src/weights/safetensors-writer.js";

/** A safetensors file with its tensors in the given order, and so many spaces after its header. */
export function encodeInOrder(
  tensors: readonly TensorData[],
  metadata: Readonly<Record<string, string>>,
  padding: number,
): Uint8Array {
  let at = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const begin = at;
    at += bytes.length;
    return [name, { dtype, shape, data_offsets: [begin, at] }] as const;
  });
  const members = Object.keys(metadata).length > 0 ? [["__metadata__", metadata] as const, ...entries] : entries;
  // Not by way of an object, which moves keys that look like numbers to the front, and knows __proto__.
  const text = `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  const header = new TextEncoder().encode(text + " ".repeat(padding));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return Buffer.concat([length, header, ...tensors.map(({ bytes }) => bytes)]);
}

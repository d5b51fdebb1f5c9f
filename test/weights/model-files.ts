import { encodeSafetensors, float32Bytes } from "../../src/weights/safetensors-writer.js";

/** A file of F32 tensors whose numbers count up from a start of their own. */
export function toModelBytes(
  tensors: Readonly<Record<string, { shape: readonly number[]; start: number }>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return encodeSafetensors(
    Object.entries(tensors).map(([name, { shape, start }]) => ({
      name,
      dtype: "F32",
      shape,
      bytes: countedBytes(shape, start),
    })),
    metadata,
  );
}

/** The bytes of such a tensor. */
export function countedBytes(shape: readonly number[], start: number): Uint8Array {
  const length = shape.reduce((a, b) => a * b, 1);
  return float32Bytes(Float32Array.from({ length }, (_, i) => start + i));
}

/** An index of shards. */
export function toIndexBytes(weightMap: unknown, metadata: unknown = { total_size: 12 }): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ metadata, weight_map: weightMap }));
}

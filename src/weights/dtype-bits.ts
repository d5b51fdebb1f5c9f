/**
 * Bits per element of every type that safetensors has, readable here or not. A file's byte ranges can be checked with
 * it; what can be read is `linalg/dtype.ts`.
 *
 * @see https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs
 */
const dtypeBits: ReadonlyMap<string, number> = new Map([
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["BOOL", 8],
  ["U8", 8],
  ["I8", 8],
  ["F8_E5M2", 8],
  ["F8_E4M3", 8],
  ["F8_E5M2FNUZ", 8],
  ["F8_E4M3FNUZ", 8],
  ["F8_E8M0", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["C64", 64],
  ["F64", 64],
  ["I64", 64],
  ["U64", 64],
]);

/** Bits per element of a type by its name, or undefined for a name that the format does not have yet. */
export function bitsOf(dtype: string): number | undefined {
  return dtypeBits.get(dtype);
}

/**
 * Number of elements of a shape (1 for a scalar), or undefined where an extent is not a whole number from 0 or the
 * product leaves the safe integers (2⁵³).
 */
export function countElements(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) return undefined;
    count *= extent;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/** Element type of stored weights, by the names safetensors uses. */
export type Dtype = "F64" | "F32" | "F16" | "BF16" | "F8_E4M3" | "F8_E5M2";

/** Bytes per element. */
export const dtypeBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const satisfies Record<Dtype, number>;

/** Whether a name is that of a readable element type. */
export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(dtypeBytes, name);
}

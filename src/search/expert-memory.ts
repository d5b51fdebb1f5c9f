import type { Expert } from "../experts/expert.js";

/**
 * Bytes that a resident expert takes per byte of its parameters: onnxruntime keeps the constants of a graph and packs
 * them once more. 104 MB measured for 75.5 MB.
 */
const residentFactor = 1.5;

/** Bytes that an expert takes in each worker that serves it: what the memory plan reserves and the server announces. */
export function toResidentBytes({ parameterBytes }: Pick<Expert, "parameterBytes">): number {
  return Math.ceil(parameterBytes * residentFactor);
}

import { loadingBytes } from "../experts/architecture.js";
import type { Expert } from "../experts/expert.js";

/**
 * Bytes that a resident expert takes per byte of its parameters: onnxruntime keeps the constants of a graph and packs
 * them once more. 1.0 to 1.4 measured once the garbage is collected, 1.5 before.
 */
const residentFactor = 1.5;

/** Bytes that an expert takes in each worker that serves it: what the memory plan reserves and the server announces. */
export function toResidentBytes({ parameterBytes }: Pick<Expert, "parameterBytes">): number {
  return Math.ceil(parameterBytes * residentFactor);
}

/** Bytes that the memory plan reserves for an expert while a worker loads it; 1 to 3 MB more is the runtime's slack. */
export function toLoadingBytes(expert: Parameters<typeof loadingBytes>[0]): number {
  return Math.max(toResidentBytes(expert), loadingBytes(expert));
}

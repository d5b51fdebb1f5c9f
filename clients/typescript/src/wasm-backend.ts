import { createWasmBackend } from "../../../src/compute/backends/wasm.js";
import type { ComputeBackend } from "../../../src/compute/compute-backend.js";

/**
 * What the threads that project compute with: the WebAssembly kernel, which comes with the package and needs no other. See
 * `ComputeModule`.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the engine lacks SIMD.
 */
export function createBackend(): Promise<ComputeBackend> {
  return createWasmBackend();
}

import type { ComputeBackend } from "../compute-backend.js";
import { createLoneCrew } from "./wasm/crew.js";
import { startHelperCrew } from "./wasm/helper-crew.js";
import { compileKernel, instantiateKernel, type KernelBuild } from "./wasm/kernel.js";
import { createKernelBackend } from "./wasm/kernel-backend.js";
import { readKernelFiles } from "./wasm/kernel-files.js";
import { createRegions } from "./wasm/regions.js";
import { wasmEngine } from "./wasm/web-assembly.js";

/** Settings of the WebAssembly backend. */
export interface WasmBackendOptions {
  /**
   * Threads that share the rows of a block, the caller's included; default 1. The server runs one backend per worker
   * thread and shares the cores out by those.
   */
  readonly threads?: number;
  /** Build of the kernel; default: the fastest that the engine takes. */
  readonly build?: KernelBuild;
}

/** Pages that a memory shared by threads may grow to, 4 GiB; only what is used is ever mapped. */
const mostPages = 65_536;

/**
 * The WebAssembly backend: a SIMD kernel written in AssemblyScript. Runs wherever Node does, without native packages.
 * It computes on the caller's thread, and blocks it.
 *
 * Accuracy: products are summed in float32 over up to 512 numbers, those sums in float32 over a row of X, and rows in
 * float64.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the engine lacks SIMD or a helper thread does not start.
 */
export async function createWasmBackend({ threads = 1, build }: WasmBackendOptions = {}): Promise<ComputeBackend> {
  const alone = threads === 1;
  const compiled = compileKernel(await readKernelFiles(alone ? "own" : "shared"), build);
  const memory = new wasmEngine.Memory(alone ? { initial: 1 } : { initial: 1, maximum: mostPages, shared: true });
  const kernel = instantiateKernel(compiled.module, memory);
  const regions = createRegions(memory);
  const crew = alone
    ? createLoneCrew(kernel)
    : await startHelperCrew(kernel, compiled.module, memory, regions, threads);
  return createKernelBackend({ kernel, build: compiled.build, memory, regions, crew });
}

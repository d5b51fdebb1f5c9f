import { UnavailableError } from "../../../errors/probestream-error.js";
import { type WasmMemory, type WasmModule, wasmEngine } from "./web-assembly.js";

/** What the AssemblyScript kernel exports, see `kernel/index.ts`. Addresses are byte offsets in its memory. */
export interface Kernel {
  /** Lays rows of a float32 matrix out in panels of eight columns. */
  packPanels(
    source: number,
    rowBytes: number,
    rowCount: number,
    columns: number,
    target: number,
    panelBytes: number,
  ): void;
  /** sum += Lᵀ[:, rows]·X[rows, :]·R for a few rows of X, the job as `job.ts` writes it. */
  addStrip(job: number, source: number, rowBegin: number, rowCount: number, scratch: number, sum: number): void;
  /** Sets a float64 sum to zero. */
  clearSum(sum: number, count: number): void;
  /** target += source, both float64. */
  addSums(target: number, source: number, count: number): void;
  /** 1 if all numbers of a float64 sum are finite as float32, otherwise 0. */
  isFiniteSum(sum: number, count: number): number;
}

/**
 * How the kernel multiplies and adds: `relaxed` in one fused instruction where the processor has one, `plain` in two.
 * On a 2.6 GHz EPYC (Zen 4) they reach 41 and 34 GFLOP/s per thread.
 */
export type KernelBuild = "relaxed" | "plain";

/** The kernel's bytes, one file per build. */
export type KernelFiles = Readonly<Record<KernelBuild, Uint8Array>>;

/** A build of the kernel, compiled. */
export interface CompiledKernel {
  readonly build: KernelBuild;
  readonly module: WasmModule;
}

/**
 * Compiles the named build, or the fastest that this engine takes: Node 20 has relaxed SIMD only behind
 * `--experimental-wasm-relaxed-simd`, later versions always.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the engine does not take it, for want of SIMD.
 */
export function compileKernel(files: KernelFiles, build?: KernelBuild): CompiledKernel {
  const builds: readonly KernelBuild[] = build === undefined ? ["relaxed", "plain"] : [build];
  const chosen = builds.find((each) => wasmEngine.validate(files[each]));
  if (chosen === undefined) {
    throw new UnavailableError(
      "BACKEND_UNAVAILABLE",
      `the wasm backend needs WebAssembly SIMD (build ${builds.join(" or ")}), which this engine lacks; choose another --backend`,
      { backend: "wasm" },
    );
  }
  return { build: chosen, module: new wasmEngine.Module(files[chosen]) };
}

/** An instance of the kernel that works on the given memory. */
export function instantiateKernel(module: WasmModule, memory: WasmMemory): Kernel {
  return new wasmEngine.Instance(module, { env: { memory } }).exports as Kernel;
}

import type { OnnxProvider } from "./backends/onnx.js";
import type { ComputeBackend } from "./compute-backend.js";
import type { BackendCandidate } from "./failover/members.js";
import { toMissingPackage } from "./missing-package.js";

/** Backends that can be named. */
export type BackendName = "gpu" | "onnx" | "onnx-cuda" | "onnx-webgpu" | "wasm" | "plain";

interface BackendFactory {
  /** Package that it loads; absent if it needs none. */
  readonly needs?: string;
  /** Whether {@link ComputeBackend.isVolatile}. */
  readonly volatile?: boolean;
  /** Whether it runs only where it is named, and is not measured. */
  readonly byNameOnly?: boolean;
  create(): Promise<ComputeBackend>;
}

const createOnnx = async (provider?: OnnxProvider): Promise<ComputeBackend> =>
  (await import("./backends/onnx.js")).createOnnxBackend(provider);

/** Creates each backend. Loaded when one is created: most who ask for names create none, and a thread creates one. */
const factories = {
  gpu: {
    needs: "gpu.js",
    volatile: true,
    create: async () => (await import("./backends/gpu.js")).createGpuBackend(),
  },
  onnx: { needs: "onnxruntime-node", create: () => createOnnx() },
  "onnx-cuda": { needs: "onnxruntime-node", create: () => createOnnx("cuda") },
  // It looks for a device in this process, where drivers write what they like to the log; `gpu` does so in its own.
  "onnx-webgpu": { needs: "onnxruntime-node", byNameOnly: true, create: () => createOnnx("webgpu") },
  wasm: { create: async () => (await import("./backends/wasm.js")).createWasmBackend() },
  plain: { create: async () => (await import("./backends/plain.js")).createPlainBackend() },
} as const satisfies Record<BackendName, BackendFactory>;

/** Names of all backends. */
export const backendNames: readonly BackendName[] = Object.keys(factories).filter(isBackendName);

/** Names of those that `auto` measures. */
export const measuredNames: readonly BackendName[] = backendNames.filter((name) => {
  const { byNameOnly = false }: BackendFactory = factories[name];
  return !byNameOnly;
});

/** Whether a word names a backend. */
export function isBackendName(word: string): word is BackendName {
  return Object.hasOwn(factories, word);
}

/**
 * Why a backend cannot run here, as far as that can be told without loading it: the package it needs is not installed.
 * A package that is there may still fail to load, which only {@link createBackend} shows.
 *
 * @param resolve gives a package's place and throws where it has none.
 */
export function whyUnavailable(
  name: BackendName,
  resolve: (specifier: string) => string = (specifier) => import.meta.resolve(specifier),
): string | undefined {
  const { needs }: BackendFactory = factories[name];
  if (needs === undefined) return undefined;
  try {
    resolve(needs);
    return undefined;
  } catch {
    return toMissingPackage(name, needs);
  }
}

/** Whether a backend's sums lie on a device that may be lost. */
export function isVolatileName(name: BackendName): boolean {
  const { volatile = false }: BackendFactory = factories[name];
  return volatile;
}

/** Backends by name as candidates of a failover backend. */
export function toCandidates(names: readonly BackendName[]): BackendCandidate[] {
  return names.map((name) => ({ name, create: () => createBackend(name) }));
}

/**
 * Creates a backend by name.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if it cannot run here; the message says what is missing.
 */
export function createBackend(name: BackendName): Promise<ComputeBackend> {
  return factories[name].create();
}

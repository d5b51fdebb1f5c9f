import { createOnnxBackend } from "./backends/onnx.js";
import { createPlainBackend } from "./backends/plain.js";
import type { ComputeBackend } from "./compute-backend.js";

/** Backends that can be named. */
export type BackendName = "onnx" | "plain";

/** Creates each backend; the first is the default. */
const factories = {
  onnx: createOnnxBackend,
  plain: async () => createPlainBackend(),
} as const satisfies Record<BackendName, () => Promise<ComputeBackend>>;

/** Names of all backends, the default first. */
export const backendNames: readonly BackendName[] = Object.keys(factories).filter(isBackendName);

/** Whether a word names a backend. */
export function isBackendName(word: string): word is BackendName {
  return Object.hasOwn(factories, word);
}

/**
 * Creates a backend by name.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if it cannot run here; the message says what is missing.
 */
export function createBackend(name: BackendName): Promise<ComputeBackend> {
  return factories[name]();
}

import { defaultConcurrency } from "../../../src/search/embed-files.js";
import type { EmbedPort } from "../../../src/search/embed-port.js";
import { defaultWorkerCount, openEmbedder } from "../../../src/search/open-embedder.js";
import { openProbingPort } from "../../../src/search/probing/open-probing-port.js";
import type { ProbingServer } from "../../../src/search/probing/probing-server.js";

/** What threads that project compute with. */
const wasmBackend = new URL("./wasm-backend.js", import.meta.url);

/**
 * Starts threads that project for a server, as many as streams are usual and cores are left.
 *
 * @param folder where probes are kept.
 * @throws AccessDeniedError `ACCESS_DENIED` if it cannot be written, UnavailableError `BACKEND_UNAVAILABLE` where WebAssembly
 * has no SIMD.
 */
export function openLocalPort(server: ProbingServer, folder: string): Promise<EmbedPort> {
  const workerCount = Math.min(defaultConcurrency, defaultWorkerCount());
  return openProbingPort(server, folder, (catalogue) =>
    openEmbedder({ catalogue, holds: "probes", workerCount }, { module: wasmBackend }),
  );
}

import type { EmbedPort } from "../embed-port.js";
import { type EmbedderOptions, startEmbedder } from "../embedder.js";
import { defaultProbesFolder } from "./default-probes-folder.js";
import { openProbingPort } from "./open-probing-port.js";
import type { ProbingServer } from "./probing-server.js";

/** How a probing port is set up. */
export interface ProbingPortOptions
  extends Pick<EmbedderOptions, "backend" | "computeModule" | "workerCount" | "memoryBudgetBytes" | "onFault"> {
  /** Folder where probes are kept. Default {@link defaultProbesFolder}. */
  readonly cacheFolder?: string | undefined;
}

/**
 * Embeds models whose weights stay here, with the backend that is named or the fastest that this machine has. See
 * {@link openProbingPort}.
 *
 * @param server a connection: `connect`.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if nothing computes here, AccessDeniedError `ACCESS_DENIED` if the folder cannot
 * be written.
 */
export async function createProbingPort(server: ProbingServer, options: ProbingPortOptions = {}): Promise<EmbedPort> {
  const { cacheFolder = defaultProbesFolder(), ...settings } = options;
  return openProbingPort(server, cacheFolder, (catalogue) =>
    startEmbedder({ ...settings, catalogue, holds: "probes" }),
  );
}

import type { ComputeBackend } from "../compute/compute-backend.js";
import { type BackendName, toCandidates } from "../compute/create-backend.js";
import { createFailoverBackend } from "../compute/failover-backend.js";

/**
 * The compute module of workers whose backends are named: see `ComputeModule`. Of several the first that works does the
 * work.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if none of them starts.
 */
export function createBackend(
  names: readonly BackendName[],
  onFault: (fault: unknown) => void,
): Promise<ComputeBackend> {
  return createFailoverBackend(toCandidates(names), { onFault });
}

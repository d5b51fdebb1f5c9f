import { parentPort, workerData } from "node:worker_threads";
import { createPlainBackend } from "../compute/backends/plain.js";
import { type BackendName, toCandidates } from "../compute/create-backend.js";
import { type MeasuredShape, measureBackends } from "../compute/measure-backends.js";

/** What this thread is started with; it answers with the measurements and ends. */
export interface MeasureSettings {
  readonly names: readonly BackendName[];
  readonly shape: MeasuredShape;
}

// A thread of its own, for the event loop must not wait, and what measuring loads and allocates ends with it.
const { names, shape } = workerData as MeasureSettings;
const measured = await measureBackends(toCandidates(names), createPlainBackend(), shape);
parentPort?.postMessage(measured);

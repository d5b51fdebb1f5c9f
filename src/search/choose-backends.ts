import { Worker } from "node:worker_threads";
import { type BackendName, isBackendName, measuredNames } from "../compute/create-backend.js";
import type { BackendMeasurement, MeasuredShape } from "../compute/measure-backends.js";
import { UnavailableError } from "../errors/probestream-error.js";
import type { Catalogue } from "../experts/catalogue.js";
import { toThreadArguments } from "../system/thread-arguments.js";
import type { MeasureSettings } from "./measure-worker.js";

/** Backends to use, and why. */
export interface BackendChoice {
  /** Best first; the others go on where it fails. */
  readonly order: readonly BackendName[];
  /** All that were tried, those that can be used first, fastest first. Empty where one was named. */
  readonly measured: readonly BackendMeasurement[];
}

/** The thread that measures. */
const measureModule = new URL("./measure-worker.js", import.meta.url);

/** Probes and projection of an expert where the catalogue has none yet: those of the paper. */
const usualShape: MeasuredShape = { probeCount: 128, projectionWidth: 128 };

/**
 * Measures all backends, each once, and orders those that agree with `plain` by their speed.
 *
 * Time: 0.1 to 0.5 s for each that can run here.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if none can.
 */
export async function chooseBackends(catalogue: Catalogue): Promise<BackendChoice> {
  const measured = await measure({ names: measuredNames, shape: await shapeOf(catalogue) });
  const usable = measured.filter(({ unusable }) => unusable === undefined);
  const order = usable.map(({ name }) => name).filter(isBackendName);
  if (order.length > 0) return { order, measured };
  const reasons = measured.map(({ name, unusable }) => `${name}: ${unusable}`).join("; ");
  throw new UnavailableError("BACKEND_UNAVAILABLE", `no compute backend can be used here: ${reasons}`);
}

/** What the largest expert asks for, which costs most; of a folder that cannot be read someone else complains. */
async function shapeOf(catalogue: Catalogue): Promise<MeasuredShape> {
  const experts = await catalogue.recent().catch(() => []);
  const [largest] = experts
    .map(({ architecture }) => architecture)
    .sort((a, b) => b.probeCount * b.projectionWidth - a.probeCount * a.projectionWidth);
  return largest ?? usualShape;
}

function measure(settings: MeasureSettings): Promise<readonly BackendMeasurement[]> {
  const worker = new Worker(measureModule, {
    workerData: settings,
    name: "measure",
    execArgv: toThreadArguments(process.execArgv),
  });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => {
      const message = `the thread that measures backends ended with code ${code}; name one with --backend`;
      reject(new UnavailableError("BACKEND_UNAVAILABLE", message));
    });
  });
}

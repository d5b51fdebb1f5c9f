import { type BackendName, isVolatileName } from "../compute/create-backend.js";
import { keptBlockBytes } from "../compute/failover/kept-block-bytes.js";
import { assertCatalogue } from "./assert-catalogue.js";
import { type BackendChoice, chooseBackends } from "./choose-backends.js";
import { type Embedder, type EmbedderCompute, type OpenEmbedderOptions, openEmbedder } from "./open-embedder.js";

/** How an embedder is set up. */
export interface EmbedderOptions extends OpenEmbedderOptions {
  /** Compute backend by name. Default `auto`: all are measured, and the fastest that agrees with `plain` is used. */
  readonly backend?: BackendName | "auto";
  /** What {@link chooseBackends} found, in place of measuring again where `backend` is `auto`. */
  readonly choice?: BackendChoice;
  /** A module that exports `createBackend(): Promise<ComputeBackend>`, in place of `backend`. */
  readonly computeModule?: URL;
}

/** Workers that are told names of backends load this module. */
const namedBackends = new URL("./named-backends.js", import.meta.url);

/**
 * Starts an embedder: worker threads with their backend, and a memory plan.
 *
 * @throws InvalidInputError `FIELD_INVALID` without a catalogue.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the backend cannot run here.
 */
export async function startEmbedder(options: EmbedderOptions): Promise<Embedder> {
  assertCatalogue(options, "startEmbedder");
  return openEmbedder(options, await toCompute(options));
}

async function toCompute(options: EmbedderOptions): Promise<EmbedderCompute> {
  const { computeModule, backend = "auto", choice, catalogue } = options;
  if (computeModule !== undefined) return { module: computeModule };
  const { order, measured } =
    backend === "auto" ? (choice ?? (await chooseBackends(catalogue))) : { order: [backend], measured: [] };
  const keptBytes = order.some(isVolatileName) ? keptBlockBytes : 0;
  return { module: namedBackends, backends: order, keptBytes, measured };
}

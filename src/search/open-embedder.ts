import { availableParallelism } from "node:os";
import type { BackendName } from "../compute/create-backend.js";
import type { BackendMeasurement } from "../compute/measure-backends.js";
import type { Catalogue } from "../experts/catalogue.js";
import { targetGroupBytes } from "../projection/row-groups.js";
import { blockBytes, blocksPerStream } from "./block-writer.js";
import type { ModelState, WorkerSettings } from "./embed-messages.js";
import type { EmbedStream, ModelOutcome } from "./embed-stream.js";
import { defaultLimits, type EmbedLimits } from "./limits.js";
import { createMemoryPlan, type MemoryPlan } from "./memory-plan.js";
import type { ModelIndexer } from "./model-indexer.js";
import { openEmbedStream } from "./open-embed-stream.js";
import { type EmbeddingPlan, type ModelManifest, planEmbedding } from "./plan-embedding.js";
import { embedProjections } from "./probing/embed-projections.js";
import type { ProjectionBatch } from "./probing/projected-model.js";
import { createUploadRegistry } from "./upload-registry.js";
import type { UploadStore } from "./upload-store.js";
import { createMemoryUploadStore } from "./upload-stores/memory.js";
import { startWorkerPool } from "./worker-pool.js";

/** How an embedder is set up, whatever computes. */
export interface OpenEmbedderOptions {
  /** Experts that may serve. */
  readonly catalogue: Catalogue;
  /** Worker threads that project. Default: one less than the cores, 1 to 8. */
  readonly workerCount?: number;
  /** Bytes that experts and streams may take together. Default 1 GiB. */
  readonly memoryBudgetBytes?: number;
  /** Bytes that a peer may send ahead on one connection; part of each stream's cost. Default 0: streams are local. */
  readonly receiveWindowBytes?: number;
  /** Bytes of messages decoded but not yet taken from a stream, at most; part of each stream's cost. Default 0. */
  readonly queuedBytes?: number;
  readonly limits?: Partial<EmbedLimits>;
  /** Where unfinished uploads are kept. Default: in memory. */
  readonly uploads?: UploadStore;
  /** Puts models into a catalogue whose headers ask for it. Default: there is none, and such models are refused. */
  readonly indexer?: ModelIndexer | undefined;
  /** What the catalogue's folders are: experts, or files of probes, whose streams end in sums. Default experts. */
  readonly holds?: WorkerSettings["holds"];
  /** Hears of faults that no caller is told of in full: an upload that could not be saved, a worker that died. */
  readonly onFault?: (error: unknown) => void;
}

/** What computes in the workers. */
export interface EmbedderCompute {
  /** A `ComputeModule`. */
  readonly module: URL;
  /** Names for that module, best first. Default none: it is a backend itself. */
  readonly backends?: readonly BackendName[];
  /** Bytes of blocks that a worker keeps per sum, for a device that may be lost. Default 0: nothing is kept. */
  readonly keptBytes?: number;
  /** What the backends were chosen by, best first. Default none. */
  readonly measured?: readonly BackendMeasurement[];
}

/** Embeds models: the use case behind the server and behind `embed --local`. */
export interface Embedder {
  readonly limits: EmbedLimits;
  readonly memory: MemoryPlan;
  readonly catalogue: Catalogue;
  /** Backend name and device, as the workers report them. */
  readonly backend: { readonly name: string; readonly device: string };
  /** All backends that were measured to choose it, best first; empty if it was named. */
  readonly measuredBackends: readonly BackendMeasurement[];
  readonly workerCount: number;
  readonly uploadStateBytes: number;
  /** Says which experts serve a model and what they want of it. See {@link planEmbedding}. */
  plan(manifest: ModelManifest): Promise<EmbeddingPlan>;
  /** The saved state of an unfinished upload under an equal plan. */
  findUpload(uploadId: string, plan: EmbeddingPlan): Promise<ModelState | undefined>;
  /** Opens a stream of models. Throws `MEMORY_BUDGET` if there is no room. */
  openStream(): EmbedStream;
  /** Embeds models that were projected elsewhere. See {@link embedProjections}. */
  embedProjections(batch: ProjectionBatch, signal?: AbortSignal): Promise<ModelOutcome[]>;
  close(): Promise<void>;
}

/** Bytes that experts and streams may take together, where nothing else is said. */
const defaultMemoryBudgetBytes = 1024 ** 3;

/** Worker threads where nothing else is said: one core is left to the event loop. */
export function defaultWorkerCount(): number {
  return Math.min(8, Math.max(1, availableParallelism() - 1));
}

/**
 * Starts worker threads with what computes in them, and a memory plan. Loads no package.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if that cannot run here.
 */
export async function openEmbedder(options: OpenEmbedderOptions, compute: EmbedderCompute): Promise<Embedder> {
  const { catalogue, indexer, memoryBudgetBytes = defaultMemoryBudgetBytes, holds = "experts" } = options;
  const { module, backends = [], keptBytes = 0, measured = [] } = compute;
  const limits: EmbedLimits = { ...defaultLimits, ...options.limits };
  const store = options.uploads ?? createMemoryUploadStore({ expiryMs: limits.uploadExpiryMs });
  const { workerCount = defaultWorkerCount(), onFault = () => {} } = options;
  const memory = createMemoryPlan(memoryBudgetBytes, {
    receiveWindowBytes: options.receiveWindowBytes ?? 0,
    messagesBytes: options.queuedBytes ?? 0,
    // Scratch of the worker: the group it collects and its numbers as float32, twice as wide at the most common; and
    // the block that a head keeps for a device that may be lost.
    blocksBytes: blocksPerStream * blockBytes + 3 * targetGroupBytes + keptBytes,
  });
  const settings: WorkerSettings = { computeModule: module.href, backends, holds };
  const pool = await startWorkerPool(settings, workerCount, memory, onFault);
  const uploads = createUploadRegistry(store, onFault);
  const plan: Embedder["plan"] = (manifest) => planEmbedding(manifest, catalogue);
  const [keepsBlocks, endsInSums] = [keptBytes > 0, holds === "probes"];
  return {
    limits,
    memory,
    catalogue,
    backend: pool.backend,
    measuredBackends: measured,
    workerCount: pool.size,
    uploadStateBytes: store.memoryBytes,
    plan,
    findUpload: (uploadId, { fingerprint }) => uploads.find(uploadId, fingerprint),
    openStream: () => openEmbedStream({ pool, memory, uploads, limits, plan, keepsBlocks, indexer, endsInSums }),
    embedProjections: (batch, signal) => embedProjections({ pool, memory, limits, plan, indexer }, batch, signal),
    close: async () => {
      await pool.close();
      await uploads.settle();
      await store.close();
    },
  };
}

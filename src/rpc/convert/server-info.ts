import { create } from "@bufbuild/protobuf";
import {
  type GetServerInfoResponse,
  type Limits,
  LimitsSchema,
  type MemoryPlan,
  MemoryPlanSchema,
} from "../../gen/probestream/v1/server_service_pb.js";
import type { RetrievalLimits } from "../../retrieval/limits.js";
import type { EmbedLimits } from "../../search/limits.js";
import { fromDuration } from "./embedding.js";

/** What a server allows. */
export interface ServerLimits
  extends EmbedLimits,
    Pick<RetrievalLimits, "maxQueries" | "maxLabels" | "maxClaimBytes" | "maxMetadataBytes"> {
  /** Bytes per digest segment, and the grain of resumption. */
  readonly segmentBytes: number;
  /** Largest message of any call, in bytes. */
  readonly maxMessageBytes: number;
}

/** How a server process divides its memory up, in bytes where nothing else is said. */
export interface ServerMemory {
  /** What experts and streams may take together. */
  readonly budgetBytes: number;
  /** Taken now. */
  readonly reservedBytes: number;
  /** Taken by experts, all workers together. */
  readonly expertBytes: number;
  /** Taken by receive windows that connections with a long round trip have beyond those of their streams. */
  readonly connectionBytes: number;
  /** One stream, without what depends on its expert: the sum of the next three. */
  readonly streamBytes: number;
  readonly receiveWindowBytes: number;
  readonly messagesBytes: number;
  readonly blocksBytes: number;
  /** Streams open now. */
  readonly openStreams: number;
  /** Kept in memory for uploads that may be resumed, at most. */
  readonly uploadStateBytes: number;
  /** Worker threads that project. */
  readonly workerCount: number;
  /** What the process takes beside the budget. */
  readonly runtimeBytes: number;
}

/** One compute backend of a server. */
export interface ServerBackend {
  readonly name: string;
  /** Device and version; empty for backends that were not started. */
  readonly device: string;
  /** It can run there; of a backend that was not measured, as far as can be told without starting it. */
  readonly available: boolean;
  /** Why not, or empty. */
  readonly unavailableReason: string;
  /** Rate measured at start, in 10⁹ floating-point operations per second; 0 where it was not measured. */
  readonly gflops: number;
  /** Relative error (L2) measured at start; 0 where it was not measured. */
  readonly relativeError: number;
}

/** What a server is and what it allows. */
export interface ServerInfo {
  /** Version of the package. */
  readonly version: string;
  readonly limits: ServerLimits;
  readonly memory: ServerMemory;
  /** The one in use first. */
  readonly backends: readonly ServerBackend[];
  /** Processes behind the port; limits and memory are those of one. */
  readonly processCount: number;
  /** Name and place of its catalogue of models; empty if it keeps none. */
  readonly store: string;
  /** Text encoders at hand: SHA-256 of their model files in lower-case hexadecimal. */
  readonly textEncoders: readonly string[];
}

/** What a server says about itself, from the wire. */
export function fromServerInfo(info: GetServerInfoResponse): ServerInfo {
  return {
    version: info.version,
    limits: fromWireLimits(info.limits ?? create(LimitsSchema)),
    memory: fromMemoryPlan(info.memoryPlan ?? create(MemoryPlanSchema)),
    backends: info.backends.map(({ name, device, available, unavailableReason, gflops, relativeError }) => ({
      name,
      device,
      available,
      unavailableReason,
      gflops,
      relativeError,
    })),
    processCount: info.processCount,
    store: info.store,
    textEncoders: info.textEncoders,
  };
}

function fromWireLimits(limits: Limits): ServerLimits {
  return {
    maxChunkBytes: limits.maxChunkBytes,
    bestChunkBytes: limits.bestChunkBytes,
    maxPlanModels: limits.maxPlanModels,
    maxManifestTensors: limits.maxManifestTensors,
    maxStreamModels: limits.maxStreamModels,
    maxTextVectors: limits.maxTextVectors,
    maxDiscardBytes: Number(limits.maxDiscardBytes),
    maxAnswerBytes: limits.maxAnswerBytes,
    streamIdleMs: fromDuration(limits.streamIdleTimeout),
    uploadExpiryMs: fromDuration(limits.uploadExpiry),
    segmentBytes: Number(limits.segmentBytes),
    maxMessageBytes: limits.maxMessageBytes,
    maxQueries: limits.maxQueries,
    maxLabels: limits.maxLabels,
    maxClaimBytes: limits.maxClaimBytes,
    maxMetadataBytes: limits.maxMetadataBytes,
  };
}

function fromMemoryPlan(plan: MemoryPlan): ServerMemory {
  return {
    budgetBytes: Number(plan.budgetBytes),
    reservedBytes: Number(plan.reservedBytes),
    expertBytes: Number(plan.expertBytes),
    connectionBytes: Number(plan.connectionBytes),
    streamBytes: Number(plan.streamBytes),
    receiveWindowBytes: Number(plan.receiveWindowBytes),
    messagesBytes: Number(plan.messagesBytes),
    blocksBytes: Number(plan.blocksBytes),
    openStreams: plan.openStreams,
    uploadStateBytes: Number(plan.uploadStateBytes),
    workerCount: plan.workerCount,
    runtimeBytes: Number(plan.runtimeBytes),
  };
}

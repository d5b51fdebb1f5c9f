import type { MessageInitShape } from "@bufbuild/protobuf";
import { backendNames, whyUnavailable } from "../../compute/create-backend.js";
import type {
  BackendInfoSchema,
  GetServerInfoRequestSchema,
  GetServerInfoResponseSchema,
} from "../../gen/probestream/v1/server_service_pb.js";
import { segmentBytes } from "../../projection/segments.js";
import type { RetrievalLimits } from "../../retrieval/limits.js";
import type { Embedder } from "../../search/open-embedder.js";
import type { Unary } from "../call.js";
import { toDuration } from "../convert/embedding.js";

/** Handlers of the server service. */
export interface ServerService {
  readonly getServerInfo: Unary<typeof GetServerInfoRequestSchema, typeof GetServerInfoResponseSchema>;
}

/** Creates the handlers. */
export function createServerService(
  embedder: Embedder,
  server: {
    readonly version: string;
    readonly maxMessageBytes: number;
    readonly processCount: number;
    readonly retrievalLimits: RetrievalLimits;
    /** Name and place; empty without one. */
    readonly store: string;
    /** Identities. */
    readonly textEncoders: readonly string[];
  },
): ServerService {
  const { limits, memory } = embedder;
  return {
    getServerInfo: async () => ({
      version: server.version,
      limits: {
        maxChunkBytes: limits.maxChunkBytes,
        bestChunkBytes: limits.bestChunkBytes,
        maxPlanModels: limits.maxPlanModels,
        maxManifestTensors: limits.maxManifestTensors,
        maxStreamModels: limits.maxStreamModels,
        maxTextVectors: limits.maxTextVectors,
        maxDiscardBytes: BigInt(limits.maxDiscardBytes),
        streamIdleTimeout: toDuration(limits.streamIdleMs),
        uploadExpiry: toDuration(limits.uploadExpiryMs),
        segmentBytes: BigInt(segmentBytes),
        maxMessageBytes: server.maxMessageBytes,
        maxAnswerBytes: limits.maxAnswerBytes,
        maxQueries: server.retrievalLimits.maxQueries,
        maxLabels: server.retrievalLimits.maxLabels,
        maxClaimBytes: server.retrievalLimits.maxClaimBytes,
        maxMetadataBytes: server.retrievalLimits.maxMetadataBytes,
      },
      memoryPlan: {
        budgetBytes: BigInt(memory.budgetBytes),
        reservedBytes: BigInt(memory.reservedBytes),
        expertBytes: BigInt(memory.expertBytes),
        connectionBytes: BigInt(memory.connectionBytes),
        streamBytes: BigInt(memory.streamBytes),
        receiveWindowBytes: BigInt(memory.stream.receiveWindowBytes),
        messagesBytes: BigInt(memory.stream.messagesBytes),
        blocksBytes: BigInt(memory.stream.blocksBytes),
        openStreams: memory.openStreams,
        uploadStateBytes: BigInt(embedder.uploadStateBytes),
        workerCount: embedder.workerCount,
        runtimeBytes: BigInt(memory.runtimeBytes),
      },
      backends: toBackends(embedder),
      processCount: server.processCount,
      store: server.store,
      textEncoders: [...server.textEncoders],
    }),
  };
}

/** The backend in use, then the others by rank; of those that nobody tried, whether their package is there. */
function toBackends({ backend, measuredBackends }: Embedder): MessageInitShape<typeof BackendInfoSchema>[] {
  const measured = measuredBackends.map(({ unusable, ...rest }) => ({
    ...rest,
    available: unusable === undefined,
    unavailableReason: unusable ?? "",
  }));
  const own = measured.find(({ name }) => name === backend.name);
  const idle = backendNames
    .filter((name) => name !== backend.name && !measured.some((one) => one.name === name))
    .map((name) => ({
      name,
      available: whyUnavailable(name) === undefined,
      unavailableReason: whyUnavailable(name) ?? "",
    }));
  return [{ ...own, ...backend, available: true }, ...measured.filter((one) => one !== own), ...idle];
}

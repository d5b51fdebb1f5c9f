import { type BackendName, backendNames, whyUnavailable } from "../../compute/create-backend.js";
import type {
  GetServerInfoRequestSchema,
  GetServerInfoResponseSchema,
} from "../../gen/probestream/v1/server_service_pb.js";
import { segmentBytes } from "../../projection/segments.js";
import type { Embedder } from "../../search/embedder.js";
import type { Unary } from "../call.js";
import { toDuration } from "../convert/embedding.js";

/** Handlers of the server service. */
export interface ServerService {
  readonly getServerInfo: Unary<typeof GetServerInfoRequestSchema, typeof GetServerInfoResponseSchema>;
}

/** Creates the handlers. */
export function createServerService(
  embedder: Embedder,
  server: { readonly version: string; readonly maxMessageBytes: number; readonly processCount: number },
): ServerService {
  const { limits, memory, backend } = embedder;
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
      backends: [
        { name: backend.name, device: backend.device, available: true },
        ...backendNames.filter((name) => name !== backend.name).map(toIdleBackend),
      ],
      processCount: server.processCount,
    }),
  };
}

/** A backend that is not in use, and whether it could be. */
function toIdleBackend(name: BackendName): { name: string; available: boolean; unavailableReason: string } {
  const reason = whyUnavailable(name);
  return { name, available: reason === undefined, unavailableReason: reason ?? "" };
}

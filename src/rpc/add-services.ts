import type { DescService } from "@bufbuild/protobuf";
import type { Server, UntypedServiceImplementation } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { PreconditionError } from "../errors/probestream-error.js";
import { file_google_rpc_error_details } from "../gen/google/rpc/error_details_pb.js";
import { file_health_v1_health } from "../gen/health/v1/health_pb.js";
import { CatalogueService, file_probestream_v1_catalogue_service } from "../gen/probestream/v1/catalogue_service_pb.js";
import { EmbeddingService, file_probestream_v1_embedding_service } from "../gen/probestream/v1/embedding_service_pb.js";
import { ExpertService, file_probestream_v1_expert_service } from "../gen/probestream/v1/expert_service_pb.js";
import { file_probestream_v1_retrieval_service, RetrievalService } from "../gen/probestream/v1/retrieval_service_pb.js";
import { file_probestream_v1_server_service, ServerService } from "../gen/probestream/v1/server_service_pb.js";
import { createRetrieval } from "../retrieval/create-retrieval.js";
import type { RetrievalLimits } from "../retrieval/limits.js";
import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { Embedder } from "../search/open-embedder.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { VectorStore } from "../vectors/vector-store.js";
import { toClientStreamingHandler, toServerStreamingHandler, toUnaryHandler } from "./call.js";
import { toServiceDefinition } from "./service-definition.js";
import { createCatalogueService } from "./services/catalogue-service.js";
import { createEmbeddingService } from "./services/embedding-service.js";
import { createExpertService } from "./services/expert-service.js";
import { addReflection } from "./services/reflection.js";
import { createRetrievalService } from "./services/retrieval-service.js";
import { createServerService } from "./services/server-service.js";
import type { ReportFault } from "./to-status.js";
import { version } from "./version.js";

/** What the services of a server work with. */
export interface ServiceOptions {
  readonly embedder: Embedder;
  /** Absent where no catalogue of models is kept. */
  readonly store: VectorStore | undefined;
  readonly encoders: readonly TextEncoder[];
  readonly retrievalLimits: RetrievalLimits;
  readonly report: ReportFault;
  /** Aborted when open streams are given up. */
  readonly closing: AbortSignal;
  readonly maxMessageBytes: number;
  readonly processCount: number;
}

/** Tells of the services' health. */
export interface ServiceHealth {
  /** Says that none serves any more. */
  stop(): void;
}

/** Adds all services, with health and reflection. */
export function addServices(server: Server, options: ServiceOptions): ServiceHealth {
  const { embedder, store, encoders, retrievalLimits, report, closing, maxMessageBytes, processCount } = options;
  const embedding = createEmbeddingService(embedder, closing, report);
  const experts = createExpertService(embedder, report);
  const retrieval = toRetrieval(options);
  const searching = createRetrievalService(retrieval, retrievalLimits, report);
  const keeping = createCatalogueService(retrieval, { streamIdleMs: embedder.limits.streamIdleMs, closing });
  const info = createServerService(embedder, {
    version,
    maxMessageBytes,
    processCount,
    retrievalLimits,
    store: store?.description ?? "",
    textEncoders: encoders.map(({ identity }) => identity),
  });
  addService(server, EmbeddingService, {
    planEmbedding: toUnaryHandler(embedding.planEmbedding, report),
    embedModel: toClientStreamingHandler(embedding.embedModel, report),
    getProbes: toServerStreamingHandler(embedding.getProbes, report),
    embedProjection: toUnaryHandler(embedding.embedProjection, report),
  });
  addService(server, ExpertService, {
    listExperts: toUnaryHandler(experts.listExperts, report),
    getExpert: toUnaryHandler(experts.getExpert, report),
    routeModel: toUnaryHandler(experts.routeModel, report),
  });
  addService(server, RetrievalService, {
    batchRetrieve: toUnaryHandler(searching.batchRetrieve, report),
    classify: toUnaryHandler(searching.classify, report),
    findDuplicates: toUnaryHandler(searching.findDuplicates, report),
  });
  addService(server, CatalogueService, {
    listSpaces: toUnaryHandler(keeping.listSpaces, report),
    switchSpaces: toUnaryHandler(keeping.switchSpaces, report),
    dropSpace: toUnaryHandler(keeping.dropSpace, report),
    getModels: toUnaryHandler(keeping.getModels, report),
    listModels: toUnaryHandler(keeping.listModels, report),
    updateModel: toUnaryHandler(keeping.updateModel, report),
    deleteModels: toUnaryHandler(keeping.deleteModels, report),
    exportModels: toServerStreamingHandler(keeping.exportModels, report),
    importModels: toClientStreamingHandler(keeping.importModels, report),
  });
  addService(server, ServerService, { getServerInfo: toUnaryHandler(info.getServerInfo, report) });
  addReflection(server, [
    file_probestream_v1_embedding_service,
    file_probestream_v1_expert_service,
    file_probestream_v1_retrieval_service,
    file_probestream_v1_catalogue_service,
    file_probestream_v1_server_service,
    file_health_v1_health,
    // So that tools can read the details of a failed call.
    file_google_rpc_error_details,
  ]);
  return addHealth(server, store !== undefined);
}

function addHealth(server: Server, hasStore: boolean): ServiceHealth {
  const always = ["", EmbeddingService.typeName, ExpertService.typeName, ServerService.typeName];
  // Without a store they answer every call with an error.
  const ofStore = [RetrievalService.typeName, CatalogueService.typeName];
  const health = new HealthImplementation({
    ...toStatuses(ofStore, hasStore ? "SERVING" : "NOT_SERVING"),
    ...toStatuses(always, "SERVING"),
  });
  health.addToServer(server);
  return {
    stop: () => {
      for (const name of [...always, ...ofStore]) health.setStatus(name, "NOT_SERVING");
    },
  };
}

/** What searches and keeps the catalogue; throws where there is none. */
function toRetrieval({ embedder, store, encoders, retrievalLimits }: ServiceOptions): () => RetrievalPort {
  if (store === undefined) {
    return () => {
      const message = "the server keeps no catalogue of models; start it with --store, or ask another";
      throw new PreconditionError("STORE_MISSING", message);
    };
  }
  const { catalogue, memory } = embedder;
  const retrieval = createRetrieval({
    store,
    catalogue,
    encoders,
    limits: retrievalLimits,
    admit: (bytes, what, kind) => memory.reserve(bytes, what, kind === "head" ? "expert" : "plan"),
  });
  return () => retrieval;
}

function toStatuses<S>(names: readonly string[], status: S): Record<string, S> {
  return Object.fromEntries(names.map((name) => [name, status]));
}

function addService(server: Server, service: DescService, handlers: UntypedServiceImplementation): void {
  server.addService(toServiceDefinition(service), handlers);
}

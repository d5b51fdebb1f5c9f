import type { DescMethod } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { InternalError, type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";
import { EmbeddingService } from "../gen/probestream/v1/embedding_service_pb.js";
import { ExpertService } from "../gen/probestream/v1/expert_service_pb.js";
import { ServerService } from "../gen/probestream/v1/server_service_pb.js";
import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { EmbedPort, ModelPlan, PlanRequest } from "../search/embed-port.js";
import type { ProbingServer } from "../search/probing/probing-server.js";
import type { RouteAnswer, RouteRequest } from "../search/route-model.js";
import { unlessAborted } from "../search/unless-aborted.js";
import { assertTarget } from "./assert-target.js";
import { createClientChannel } from "./client-channel.js";
import { type ClientTls, toMetadataFactory, toTlsCredentials } from "./client-credentials.js";
import { openStream } from "./client-stream.js";
import { fromModelError } from "./convert/error.js";
import { type ExpertInfo, type ExpertList, fromWireExpert, fromWireUnusable } from "./convert/expert.js";
import { fromPlannedModel } from "./convert/plan.js";
import { fromRouteResponse, toRouteRequest } from "./convert/route.js";
import { fromServerInfo, type ServerInfo } from "./convert/server-info.js";
import { isLoopbackTarget } from "./loopback.js";
import { maxPlanManifests, type PlanningServer, toFittingManifest, toPlanBatches } from "./plan-manifest.js";
import { createProbingClient } from "./probing-client.js";
import { remember } from "./remember.js";
import { createRetrievalClient } from "./retrieval-client.js";
import { retryReads } from "./retry-reads.js";

/** Where and how to connect. */
export interface ClientOptions {
  /** `HOST:PORT`. */
  readonly target: string;
  /** TLS, with these PEM files; empty for the system's authorities. Absent: plaintext. */
  readonly tls?: ClientTls;
  /**
   * Sent with every call as `authorization: Bearer …`. Without TLS it goes to this machine alone: anyone on the way could
   * read it.
   */
  readonly token?: string | undefined;
  /** How long a call other than an upload may take, the plan of one included, in milliseconds. Default 60 s. */
  readonly deadlineMs?: number;
  /** Further attempts of calls that only read, where the server cannot be reached. Uploads have their own. Default 0. */
  readonly retries?: number | undefined;
}

/** A model that is to be routed. */
export interface RouteQuestion extends PlanRequest, Pick<RouteRequest, "hints" | "prefixes"> {}

/**
 * A connection to a server: it embeds, what is streamed to it or was projected here (`createProbingPort`), and searches and
 * keeps the server's catalogue of models.
 */
export interface ProbestreamClient extends EmbedPort, ProbingServer, RetrievalPort {
  /** All experts of the server, and folders of its catalogue that hold none. */
  listExperts(): Promise<ExpertList>;
  /** One expert by name, space id or an unambiguous prefix of it. @throws NotFoundError `EXPERT_NOT_FOUND` */
  getExpert(expert: string): Promise<ExpertInfo>;
  /** Says which expert would serve a model, from its manifest and what is known of its layer's first rows. */
  route(request: RouteQuestion, signal?: AbortSignal): Promise<RouteAnswer>;
  /** What the server is and what it allows. */
  serverInfo(): Promise<ServerInfo>;
}

const defaultDeadlineMs = 60_000;

/** How old the server's limits and experts may be where a manifest is cut to fit them, in milliseconds. */
const freshForMs = 10_000;

/** Longest answer taken: text scores of a whole stream. */
const maxReceiveBytes = 64 * 1024 * 1024;

/**
 * Bytes that a server may send ahead. HTTP/2's own 64 KiB would take 64 round trips for the probes of a layer of 4,096 ×
 * 4,096: 3.6 s at 20 ms.
 */
const receiveWindowBytes = 1024 * 1024;

/**
 * Connects to a server. Nothing is sent until the first call.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a target that is none, for keys and certificates that cannot be used, and for a
 * token that would travel in the clear. Calls of a connection that was closed throw UnavailableError `SHUTTING_DOWN`.
 */
export function connect({
  target,
  tls,
  token,
  deadlineMs = defaultDeadlineMs,
  retries = 0,
}: ClientOptions): ProbestreamClient {
  assertTarget(target);
  const toMetadata = toMetadataFactory(token, target, tls !== undefined);
  let isClosed = false;
  // grpc-js throws an error without a reason.
  const createMetadata: typeof toMetadata = () => {
    if (isClosed) throw new UnavailableError("SHUTTING_DOWN", "the client is closed; connect anew");
    return toMetadata();
  };
  const channel = new Client(target, tls === undefined ? credentials.createInsecure() : toTlsCredentials(tls), {
    "grpc.max_receive_message_length": maxReceiveBytes,
    // Uploads are resumed by their ids instead. The buffer for retries is filled all the same unless it is 0, and a
    // write counts as done when it lies there: that hides the first MiB of backpressure, and 120,000 messages of
    // 1 byte took 20 s instead of 1, for each write copies the buffer (`clearSentMessages`).
    "grpc.enable_retries": 0,
    // A server whose machine is gone answers nothing, not even with an error.
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.per_rpc_retry_buffer_size": 0,
    "grpc-node.flow_control_window": receiveWindowBytes,
    // grpc-js heeds http_proxy even for 127.0.0.1: the proxy would be asked for its own machine, and read the token.
    ...(isLoopbackTarget(target) && { "grpc.enable_http_proxy": 0 }),
  });

  const calls = createClientChannel(channel, target, { deadlineMs, retries, createMetadata });
  const { unary } = calls;
  // Uploads make all of an attempt again by themselves.
  const once = createClientChannel(channel, target, { deadlineMs, retries: 0, createMetadata });
  const again = <T>(method: DescMethod, attempt: () => Promise<T>): Promise<T> =>
    retryReads(method, attempt, { retries, endMs: Date.now() + deadlineMs, assertOpen: createMetadata });

  const listExperts = async (): Promise<ExpertList> => {
    const experts: ExpertInfo[] = [];
    const unusable: ExpertList["unusable"][number][] = [];
    let pageToken = "";
    do {
      const page = await once.unary(ExpertService.method.listExperts, { pageSize: 1000, pageToken });
      experts.push(...page.experts.map(fromWireExpert));
      if (pageToken === "") unusable.push(...page.unusable.map(fromWireUnusable));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return { experts, unusable };
  };
  const list = remember(listExperts, freshForMs);
  const info = remember(
    async () => fromServerInfo(await once.unary(ServerService.method.getServerInfo, {})),
    freshForMs,
  );
  const server: PlanningServer = {
    maxManifestTensors: async () => (await info.recent()).limits.maxManifestTensors,
    experts: async () => (await list.recent()).experts,
  };

  return {
    maxModels: maxPlanManifests,
    plan: async (requests, signal) => {
      signal?.throwIfAborted();
      const fitting = Promise.all(requests.map((request) => toFittingManifest(request, server)));
      // What is shared with other callers cannot be cancelled.
      const fitted = await unlessAborted(fitting, signal);
      const answers: (ModelPlan | ProbestreamError)[] = [];
      for (const manifests of toPlanBatches(fitted.filter((one) => "manifest" in one))) {
        const { plans } = await once.unary(EmbeddingService.method.planEmbedding, { manifests }, signal);
        if (plans.length !== manifests.length) {
          const message = `${target} answered with ${plans.length} plans for ${manifests.length} models`;
          throw new InternalError("INTERNAL", message);
        }
        for (const { outcome } of plans) {
          if (outcome.case === "planned") answers.push(fromPlannedModel(outcome.value));
          else if (outcome.case === "error") answers.push(fromModelError(outcome.value));
          else answers.push(missingPlan(target));
        }
      }
      let next = 0;
      return fitted.map((one) => ("manifest" in one ? (answers[next++] ?? missingPlan(target)) : one));
    },
    open: async (signal) => openStream(channel, target, createMetadata(), signal),
    route: async (request, signal) => {
      const fitted = await unlessAborted(toFittingManifest(request, server), signal);
      if (!("manifest" in fitted)) throw fitted;
      const asked = toRouteRequest(fitted.manifest, request);
      return fromRouteResponse(await unary(ExpertService.method.routeModel, asked, signal));
    },
    ...createProbingClient(calls, async () => (await info.recent()).limits),
    ...createRetrievalClient(calls, async () => (await info.recent()).limits),
    listExperts: () => again(ExpertService.method.listExperts, list.fresh),
    getExpert: async (expert) => {
      const { expert: found } = await unary(ExpertService.method.getExpert, { expert });
      if (found === undefined) throw new InternalError("INTERNAL", `${target} answered without an expert`);
      return fromWireExpert(found);
    },
    serverInfo: () => again(ServerService.method.getServerInfo, info.fresh),
    close: async () => {
      isClosed = true;
      channel.close();
    },
  };
}

function missingPlan(target: string): InternalError {
  return new InternalError("INTERNAL", `${target} answered with an empty plan`);
}

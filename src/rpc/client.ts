import { Client, type ClientWritableStream, credentials, type ServiceError } from "@grpc/grpc-js";
import type { Matrix } from "../compute/compute-backend.js";
import { InternalError, type ProbestreamError } from "../errors/probestream-error.js";
import {
  EmbeddingService,
  EmbedModelRequestSchema,
  type EmbedModelResponse,
} from "../gen/probestream/v1/embedding_service_pb.js";
import { ExpertService } from "../gen/probestream/v1/expert_service_pb.js";
import { ServerService } from "../gen/probestream/v1/server_service_pb.js";
import type { RetrievalPort } from "../retrieval/retrieval-port.js";
import type { EmbedPort, ModelPlan, PlanRequest, PortAnswer, PortStream } from "../search/embed-port.js";
import type { ProbingServer } from "../search/probing/probing-server.js";
import type { RouteAnswer, RouteRequest } from "../search/route-model.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import { createClientChannel } from "./client-channel.js";
import { fromModelError } from "./convert/error.js";
import { type ExpertInfo, type ExpertList, fromWireExpert, fromWireUnusable } from "./convert/expert.js";
import { toFloatBytes } from "./convert/matrix.js";
import { fromModelOutcome } from "./convert/model-outcome.js";
import { toIndexRequest } from "./convert/model-record.js";
import { fromPlannedModel } from "./convert/plan.js";
import { fromRouteResponse, toRouteRequest } from "./convert/route.js";
import { fromServerInfo, type ServerInfo } from "./convert/server-info.js";
import { toWireRange } from "./convert/tensor.js";
import { encodeChunk } from "./encode-chunk.js";
import { fromStatus, toKind } from "./from-status.js";
import { maxPlanManifests, type PlanningServer, toFittingManifest, toPlanBatches } from "./plan-manifest.js";
import { createProbingClient } from "./probing-client.js";
import { remember } from "./remember.js";
import { createRetrievalClient } from "./retrieval-client.js";
import { encodeMessage, toMethodDefinition } from "./service-definition.js";

/** Where and how to connect. */
export interface ClientOptions {
  /** `HOST:PORT`. */
  readonly target: string;
  /** TLS, with these PEM files; empty for the system's authorities. Absent: plaintext. */
  readonly tls?: {
    readonly authority?: Buffer | undefined;
    readonly certificate?: Buffer | undefined;
    readonly privateKey?: Buffer | undefined;
  };
  /** How long a call other than an upload may take, in milliseconds. Default 60 s. */
  readonly deadlineMs?: number;
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

/** Connects to a server. Nothing is sent until the first call. */
export function connect({ target, tls, deadlineMs = defaultDeadlineMs }: ClientOptions): ProbestreamClient {
  const channel = new Client(
    target,
    tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(tls.authority ?? null, tls.privateKey ?? null, tls.certificate ?? null),
    {
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
    },
  );

  const calls = createClientChannel(channel, target, deadlineMs);
  const { unary } = calls;

  const listExperts = async (): Promise<ExpertList> => {
    const experts: ExpertInfo[] = [];
    const unusable: ExpertList["unusable"][number][] = [];
    let pageToken = "";
    do {
      const page = await unary(ExpertService.method.listExperts, { pageSize: 1000, pageToken });
      experts.push(...page.experts.map(fromWireExpert));
      if (pageToken === "") unusable.push(...page.unusable.map(fromWireUnusable));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return { experts, unusable };
  };
  const list = remember(listExperts, freshForMs);
  const info = remember(async () => fromServerInfo(await unary(ServerService.method.getServerInfo, {})), freshForMs);
  const server: PlanningServer = {
    maxManifestTensors: async () => (await info.recent()).limits.maxManifestTensors,
    experts: async () => (await list.recent()).experts,
  };

  return {
    maxModels: maxPlanManifests,
    plan: async (requests, signal) => {
      signal?.throwIfAborted();
      const fitting = Promise.all(requests.map((request) => toFittingManifest(request, server)));
      const fitted = await unlessAborted(fitting, signal);
      const answers: (ModelPlan | ProbestreamError)[] = [];
      for (const manifests of toPlanBatches(fitted.filter((one) => "manifest" in one))) {
        const { plans } = await unary(EmbeddingService.method.planEmbedding, { manifests }, signal);
        for (const { outcome } of plans) {
          if (outcome.case === "planned") answers.push(fromPlannedModel(outcome.value));
          else if (outcome.case === "error") answers.push(fromModelError(outcome.value, toKind(outcome.value.code)));
          else answers.push(missingPlan(target));
        }
      }
      let next = 0;
      return fitted.map((one) => ("manifest" in one ? (answers[next++] ?? missingPlan(target)) : one));
    },
    open: async (signal) => openStream(channel, target, signal),
    route: async (request, signal) => {
      const fitted = await unlessAborted(toFittingManifest(request, server), signal);
      if (!("manifest" in fitted)) throw fitted;
      const asked = toRouteRequest(fitted.manifest, request);
      return fromRouteResponse(await unary(ExpertService.method.routeModel, asked, signal));
    },
    ...createProbingClient(calls, async () => (await info.recent()).limits),
    ...createRetrievalClient(calls, async () => (await info.recent()).limits),
    listExperts: list.fresh,
    serverInfo: info.fresh,
    close: async () => channel.close(),
  };
}

/** What is shared with other callers cannot be cancelled, but need not be waited for. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function missingPlan(target: string): InternalError {
  return new InternalError("INTERNAL", `${target} answered with an empty plan`);
}

function openStream(channel: Client, target: string, signal: AbortSignal | undefined): PortStream {
  signal?.throwIfAborted();
  const { path, responseDeserialize } = toMethodDefinition(EmbeddingService.method.embedModel);
  let answered = false;
  // Called when a waiting write may go on: the stream drained, or the answer is there.
  let wake: () => void = () => {};
  let settle: (error: ServiceError | null, response?: EmbedModelResponse) => void = () => {};
  const answer = new Promise<EmbedModelResponse>((resolve, reject) => {
    settle = (error, response) => {
      answered = true;
      wake();
      signal?.removeEventListener("abort", abort);
      if (error !== null) reject(fromStatus(error, target));
      else if (response !== undefined) resolve(response);
    };
  });
  // The answer is asked for at the end; a failure before that shows at the next write.
  answer.catch(() => {});
  const call: ClientWritableStream<Buffer> = channel.makeClientStreamRequest(
    path,
    (message: Buffer) => message,
    responseDeserialize,
    (error, response) => settle(error, response),
  );
  const abort = (): void => call.cancel();
  signal?.addEventListener("abort", abort, { once: true });
  // Writes after an early answer fail on the stream; the answer itself tells what there is to tell.
  call.on("error", () => {});
  call.on("drain", () => wake());

  const write = async (message: Buffer): Promise<void> => {
    if (answered) return;
    if (call.write(message)) return;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  };

  return {
    header: (modelId, plan, texts, index) => write(encodeHeader(modelId, plan, texts, index)),
    chunk: (tensorIndex, offset, bytes) => write(encodeChunk(tensorIndex, offset, bytes)),
    footer: (totalBytes, digest) =>
      write(
        encodeMessage(EmbedModelRequestSchema, {
          part: { case: "footer", value: { totalBytes: BigInt(totalBytes), digest: new Uint8Array(digest) } },
        }),
      ),
    get answered() {
      return answered;
    },
    finish: async () => {
      if (!answered) call.end();
      return toAnswer(await answer);
    },
    abort: () => {
      if (!answered) call.cancel();
    },
  };
}

function encodeHeader(
  modelId: string,
  plan: ModelPlan,
  texts: Matrix | undefined,
  index: IndexFacts | undefined,
): Buffer {
  return encodeMessage(EmbedModelRequestSchema, {
    part: {
      case: "header",
      value: {
        modelId,
        uploadId: plan.uploadId,
        tensors: plan.tensors.map(toWireRange),
        spaceIds: [...plan.experts],
        routed: plan.isRouted,
        startOffsets: plan.starts.map(({ offset }) => BigInt(offset)),
        ...(index !== undefined && { index: toIndexRequest(index) }),
        ...(texts !== undefined && {
          textVectors: { data: toFloatBytes(texts.values), rows: texts.rows, columns: texts.columns },
        }),
      },
    },
  });
}

function toAnswer({ results, stoppedEarly }: EmbedModelResponse): PortAnswer {
  return {
    stoppedEarly,
    results: results.map((result) => ({ modelId: result.modelId, outcome: fromModelOutcome(result) })),
  };
}

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { credentials, status } from "@grpc/grpc-js";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { EmbedModelRequestSchema, type PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ManifestSchema } from "../../src/gen/probestream/v1/types_pb.js";
import { connect, type ProbestreamClient } from "../../src/rpc/client.js";
import { fromModelEmbedding } from "../../src/rpc/convert/embedding.js";
import { fromModelError } from "../../src/rpc/convert/error.js";
import type { ExpertInfo } from "../../src/rpc/convert/expert.js";
import { toKind } from "../../src/rpc/from-status.js";
import { encodeMessage } from "../../src/rpc/service-definition.js";
import { toCode } from "../../src/rpc/to-status.js";
import { embedFiles } from "../../src/search/embed-files.js";
import type { PortResult } from "../../src/search/embed-port.js";
import { type AskRoute, routeFile } from "../../src/search/route-file.js";
import type { IndexFacts } from "../../src/vectors/index-facts.js";
import { type ModelFile, openModel } from "../../src/weights/model-file.js";
import { openRawClient, type UploadAnswer } from "../../test/helpers/rpc-client.js";
import type { CaseStep, Json, JsonObject } from "./conformance-case.js";
import { createRetrievalVerbs } from "./typescript-retrieval.js";

/** The client has nothing for this verb, or for these arguments. */
class Unsupported extends Error {}

/** A step was cancelled, or its time was up. */
class Ended extends Error {
  readonly code: "CANCELLED" | "DEADLINE_EXCEEDED";

  constructor(code: Ended["code"]) {
    super(code);
    this.code = code;
  }
}

interface Connection {
  readonly target: string;
  readonly tls?: { readonly authority?: string; readonly certificate?: string; readonly private_key?: string };
  readonly token?: string;
  readonly deadline_ms?: number;
}

interface Request {
  readonly name: string;
  readonly connect: Connection;
  readonly steps: readonly CaseStep[];
}

/** A step of a case, typed as far as it goes. */
interface Args {
  readonly sources?: readonly Source[];
  readonly source?: Source;
  readonly experts?: readonly string[];
  readonly texts?: readonly (readonly number[])[];
  readonly index?: JsonObject;
  readonly cancel_after_bytes?: number;
  readonly deadline_ms?: number;
  readonly manifest?: JsonObject;
  readonly messages?: readonly JsonObject[];
  readonly expert?: string;
}

interface Source {
  readonly path?: string;
  readonly url?: string;
  readonly bytes?: string;
  readonly arrays?: string;
  readonly id?: string;
}

/** Bytes of a layer that are sent to ask where it belongs. */
const mostRouteBytes = 3 * 1024 * 1024;

type Verb = (client: ProbestreamClient, args: Args, connection: Connection) => Promise<Json>;

const retrievalVerbs = createRetrievalVerbs(toError);

const verbs: Readonly<Record<string, Verb>> = {
  embed,
  raw_embed: (_, args, { target }) => embedRaw(target, args),
  route,
  experts: async (client) => {
    const { experts, unusable } = await client.listExperts();
    return {
      experts: experts.map(toExpert),
      unusable: unusable.map(({ name, error }) => ({ name, error: toError(error) })),
    };
  },
  server_info: async (client) => {
    const { version, limits, backends } = await client.serverInfo();
    return {
      version,
      limits: {
        max_chunk_bytes: limits.maxChunkBytes,
        best_chunk_bytes: limits.bestChunkBytes,
        segment_bytes: limits.segmentBytes,
      },
      backends: backends.map(({ name, available }) => ({ name, available })),
    };
  },
};

async function embed(client: ProbestreamClient, args: Args): Promise<Json> {
  const { sources = [], experts = [], texts, index, cancel_after_bytes: cancelAfter, deadline_ms: deadlineMs } = args;
  const locations = sources.map(({ path, url }) => {
    const location = path ?? url;
    if (location === undefined) throw new Unsupported("this client takes paths and URLs alone");
    return location;
  });
  const controller = new AbortController();
  const timer =
    deadlineMs === undefined
      ? undefined
      : setTimeout(() => controller.abort(new Ended("DEADLINE_EXCEEDED")), deadlineMs);
  const results: Json[] = sources.map(() => null);
  let [calls, bytesSent] = [0, 0];
  try {
    for await (const { index: at, outcome } of embedFiles(locations, client, {
      experts,
      ...(texts !== undefined && {
        texts: { rows: texts.length, columns: texts[0]?.length ?? 0, values: Float32Array.from(texts.flat()) },
      }),
      ...(index !== undefined && {
        index: (model: ModelFile, location: string) => ({
          modelId: sources[locations.indexOf(location)]?.id ?? location,
          claims: Object.fromEntries(model.metadata),
          ...(index as Omit<IndexFacts, "modelId">),
        }),
      }),
      signal: controller.signal,
      onProgress: (progress) => {
        calls++;
        bytesSent = progress.bytesSent;
        if (cancelAfter !== undefined && bytesSent >= cancelAfter) controller.abort(new Ended("CANCELLED"));
      },
    })) {
      // Models are named for their files; a name of their own goes no further than this program.
      const modelId = sources[at]?.id ?? locations[at] ?? "";
      results[at] = {
        model_id: modelId,
        ...(outcome instanceof ProbestreamError ? { error: toError(outcome) } : toResult(outcome)),
      };
    }
  } finally {
    clearTimeout(timer);
  }
  return { results, progress: { calls, bytes_sent: bytesSent } };
}

async function embedRaw(target: string, { manifest = {}, messages = [] }: Args): Promise<Json> {
  const client = openRawClient(target, credentials.createInsecure());
  try {
    const wanted = fromJson(ManifestSchema, manifest as JsonValue);
    const [plan] = await client.plan(wanted);
    if (plan?.outcome.case === "error") throw fromModelError(plan.outcome.value, toKind(plan.outcome.value.code));
    if (plan?.outcome.case !== "planned") throw new Error("an empty plan");
    const planned = plan.outcome.value;
    const answer = await client.upload(messages.map((message) => toMessage(message, planned, wanted.modelId)));
    return toRawResults(answer);
  } finally {
    client.close();
  }
}

/** A message as it is written, its header filled from the plan where it says nothing else. */
function toMessage(message: JsonObject, planned: PlannedModel, modelId: string): Buffer {
  const request = fromJson(EmbedModelRequestSchema, message as JsonValue);
  if (request.part.case === "header") {
    const header = request.part.value;
    const said = new Set(Object.keys(message["header"] as JsonObject));
    if (!said.has("model_id")) header.modelId = modelId;
    if (!said.has("upload_id")) header.uploadId = planned.uploadId;
    if (!said.has("tensors")) header.tensors = planned.tensors;
    if (!said.has("space_ids")) header.spaceIds = planned.targets.map(({ spaceId }) => spaceId);
    if (!said.has("routed")) header.routed = planned.routed;
    if (!said.has("start_offsets")) header.startOffsets = planned.starts.map(({ offset }) => offset);
  }
  return encodeMessage(EmbedModelRequestSchema, request);
}

function toRawResults({ response, failure }: UploadAnswer): Json {
  if (response === undefined) {
    const { code, message, info } = failure;
    throw Object.assign(new Error(message), {
      raw: { code: status[code] ?? "UNKNOWN", reason: info?.reason ?? "", message },
    });
  }
  return {
    stopped_early: response.stoppedEarly,
    results: response.results.map(({ modelId, outcome }) => {
      if (outcome.case === "embedding") return { model_id: modelId, ...toResult(fromModelEmbedding(outcome.value)) };
      if (outcome.case !== "error") throw new Error("an empty result");
      return { model_id: modelId, error: toError(fromModelError(outcome.value, toKind(outcome.value.code))) };
    }),
  };
}

async function route(client: ProbestreamClient, { source, experts = [] }: Args): Promise<Json> {
  const location = source?.path ?? source?.url;
  if (location === undefined) throw new Unsupported("this client routes paths and URLs alone");
  const model = await openModel(location);
  const { tensors, metadata } = model;
  const ask: AskRoute = (prefixes) =>
    client.route({ modelId: location, uploadId: "", tensors, metadata, experts, prefixes, hints: [] });
  const { answer } = await routeFile(model, ask, { maxBytes: mostRouteBytes }).finally(() => model.close());
  return {
    decision: answer.decision.replace("-", "_"),
    candidates: answer.candidates.map(({ spaceId, expertName, isPossible }) => ({
      space_id: spaceId,
      expert_name: expertName,
      possible: isPossible,
    })),
  };
}

function toResult({ embeddings, bytesReceived, bytesTotal, weightsHash, indexedId }: PortResult): JsonObject {
  return {
    embeddings: embeddings.map(({ spaceId, expertName, representation, cosines, logits, probabilities, labels }) => ({
      space_id: spaceId,
      expert_name: expertName,
      representation: [...representation],
      text_cosines: [...cosines],
      label_logits: [...logits],
      label_probabilities: [...probabilities],
      labels: [...labels],
    })),
    bytes_received: bytesReceived,
    bytes_total: bytesTotal,
    weights_hash: weightsHash,
    indexed_id: indexedId ?? "",
  };
}

function toError(error: unknown): JsonObject {
  if (error instanceof Ended) return { code: error.code, reason: "", message: error.message };
  if (error instanceof Error && "raw" in error) return error.raw as JsonObject;
  if (!(error instanceof ProbestreamError)) throw error;
  // A status of the transport has no reason of its own; its code is the cause's.
  const { cause, kind, reason, message, facts } = error;
  const code =
    cause instanceof Error && "code" in cause && typeof cause.code === "number" ? cause.code : toCode({ kind });
  const metadata = Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, String(value)]));
  return { code: status[code] ?? "UNKNOWN", reason, message, metadata };
}

function toExpert({ name, spaceId, objective, layer, representationWidth, textWidth }: ExpertInfo): JsonObject {
  return {
    name,
    space_id: spaceId,
    objective,
    layer: { module: layer.module },
    layer_rows: layer.shape.rows,
    layer_columns: layer.shape.columns,
    representation_width: representationWidth,
    text_width: textWidth,
  };
}

async function openClient({ target, tls, token, deadline_ms: deadlineMs }: Connection): Promise<ProbestreamClient> {
  if (token !== undefined) throw new Unsupported("this client sends no token yet");
  const read = async (path: string | undefined): Promise<Buffer | undefined> =>
    path === undefined ? undefined : readFile(path);
  return connect({
    target,
    ...(tls !== undefined && {
      tls: {
        authority: await read(tls.authority),
        certificate: await read(tls.certificate),
        privateKey: await read(tls.private_key),
      },
    }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  });
}

async function runSteps({ connect: connection, steps }: Request): Promise<Json[]> {
  const client = await openClient(connection);
  try {
    const outcomes: Json[] = [];
    for (const { verb, args } of steps) {
      const run = verbs[verb];
      const runRetrieval = retrievalVerbs[verb];
      try {
        if (run !== undefined) outcomes.push({ ok: await run(client, args as Args, connection) });
        else if (runRetrieval !== undefined) outcomes.push({ ok: await runRetrieval(client, args) });
        else throw new Unsupported(`this client has no ${verb} yet`);
      } catch (error) {
        if (error instanceof Unsupported) throw error;
        outcomes.push({ error: toError(error) });
      }
    }
    return outcomes;
  } finally {
    await client.close();
  }
}

/** One line in, one line out, until the input ends. */
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  const { name } = request;
  const outcome = await runSteps(request).then(
    (outcomes) => ({ name, outcomes }),
    (error: unknown) => {
      if (error instanceof Unsupported) return { name, unsupported: error.message };
      throw error;
    },
  );
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

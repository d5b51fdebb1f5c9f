import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { credentials, status } from "@grpc/grpc-js";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { EmbedModelRequestSchema, type PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ManifestSchema } from "../../src/gen/probestream/v1/types_pb.js";
import type { Dtype } from "../../src/linalg/dtype.js";
import { fromModelEmbedding } from "../../src/rpc/convert/embedding.js";
import { fromModelError } from "../../src/rpc/convert/error.js";
import { encodeMessage } from "../../src/rpc/service-definition.js";
import { toCode } from "../../src/rpc/status-codes.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { openRawClient, type UploadAnswer } from "../../test/helpers/rpc-client.js";
import {
  type Client,
  connect,
  type EmbedOptions,
  EmbedResult,
  type ExpertInfo,
  type Index,
  type Model,
} from "../typescript/src/index.js";
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
  readonly probes?: string;
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

type Verb = (client: Client, args: Args, connection: Connection) => Promise<Json>;

const retrievalVerbs = createRetrievalVerbs(toError);

const verbs: Readonly<Record<string, Verb>> = {
  embed: (client, args) => embed(client, args),
  embed_local: (client, args) => embed(client, args, { local: true, probes: args.probes }),
  raw_embed: (_, args, { target }) => embedRaw(target, args),
  route,
  experts: async (client) => {
    const { experts, unusable } = await client.experts();
    return {
      experts: experts.map(toExpert),
      unusable: unusable.map(({ name, error }) => ({ name, error: toError(error) })),
    };
  },
  get_expert: async (client, { expert = "" }) => ({ expert: toExpert(await client.getExpert(expert)) }),
  server_info: async (client) => {
    const { version, limits, backends, store, textEncoders } = await client.serverInfo();
    return {
      version,
      limits: {
        max_chunk_bytes: limits.maxChunkBytes,
        best_chunk_bytes: limits.bestChunkBytes,
        segment_bytes: limits.segmentBytes,
      },
      backends: backends.map(({ name, available }) => ({ name, available })),
      text_encoders: [...textEncoders],
      store,
    };
  },
};

async function embed(client: Client, args: Args, where: Pick<EmbedOptions, "local" | "probes"> = {}): Promise<Json> {
  const { sources = [], experts = [], texts, index, cancel_after_bytes: cancelAfter, deadline_ms: deadlineMs } = args;
  const models = await Promise.all(sources.map(toModel));
  const controller = new AbortController();
  let [calls, bytesSent] = [0, 0];
  try {
    const outcomes = await client.embed(models, {
      ...where,
      experts,
      texts,
      deadlineMs,
      ...(index !== undefined && { index: index as Index }),
      signal: controller.signal,
      onProgress: (progress) => {
        calls++;
        bytesSent = progress.bytesSent;
        if (cancelAfter !== undefined && bytesSent >= cancelAfter) controller.abort(new Ended("CANCELLED"));
      },
    });
    const results = outcomes.map((outcome, at) =>
      outcome instanceof EmbedResult
        ? toResult(outcome)
        : { model_id: sources[at]?.id ?? sources[at]?.path ?? "", error: toError(outcome) },
    );
    return { results, progress: { calls, bytes_sent: bytesSent } };
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") throw new Ended("DEADLINE_EXCEEDED");
    throw error;
  }
}

/** A source as the client takes it. */
async function toModel({ path, url, bytes, arrays, id }: Source): Promise<Model> {
  if (path !== undefined) return { path, id };
  if (url !== undefined) return { url, id };
  if (bytes !== undefined) return { bytes: await readFile(bytes), id };
  if (arrays === undefined) throw new Unsupported("this client knows no such source");
  const { tensors, metadata } = await readTensors(arrays);
  const byName = Array.from(tensors.values(), ({ name, dtype, shape, bytes: data }) => {
    if (dtype === "F32") return [name, { shape, data: new Float32Array(data.buffer) }] as const;
    return [name, { shape, data, dtype: dtype as Dtype }] as const;
  });
  return { arrays: Object.fromEntries(byName), metadata: Object.fromEntries(metadata), id };
}

async function embedRaw(target: string, { manifest = {}, messages = [] }: Args): Promise<Json> {
  const client = openRawClient(target, credentials.createInsecure());
  try {
    const wanted = fromJson(ManifestSchema, manifest as JsonValue);
    const [plan] = await client.plan(wanted);
    if (plan?.outcome.case === "error") throw fromModelError(plan.outcome.value);
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
      if (outcome.case === "embedding") return toResult(new EmbedResult(modelId, fromModelEmbedding(outcome.value)));
      if (outcome.case !== "error") throw new Error("an empty result");
      return { model_id: modelId, error: toError(fromModelError(outcome.value)) };
    }),
  };
}

async function route(client: Client, { source = {}, experts = [] }: Args): Promise<Json> {
  const { decision, candidates } = await client.route(await toModel(source), { experts });
  return {
    decision: decision.replace("-", "_"),
    candidates: candidates.map(({ spaceId, expertName, isPossible }) => ({
      space_id: spaceId,
      expert_name: expertName,
      possible: isPossible,
    })),
  };
}

function toResult(result: EmbedResult): JsonObject {
  const { modelId, embeddings, bytesReceived, bytesTotal, weightsHash, indexedId } = result;
  return {
    model_id: modelId,
    embeddings: embeddings.map((one) => ({
      space_id: one.spaceId,
      expert_name: one.expertName,
      representation: [...one.representation],
      text_cosines: [...one.textCosines],
      label_logits: [...one.labelLogits],
      label_probabilities: [...one.labelProbabilities],
      labels: [...one.labels],
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

async function openClient({ target, tls, token, deadline_ms: deadlineMs }: Connection): Promise<Client> {
  const read = async (path: string | undefined): Promise<Buffer | undefined> =>
    path === undefined ? undefined : readFile(path);
  return connect(target, {
    token,
    deadlineMs,
    tls: tls && {
      authority: await read(tls.authority),
      certificate: await read(tls.certificate),
      privateKey: await read(tls.private_key),
    },
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

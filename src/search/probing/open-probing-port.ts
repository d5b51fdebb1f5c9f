import type { Matrix } from "../../compute/compute-backend.js";
import { toProbestreamError } from "../../errors/plain-error.js";
import { InternalError, ProbestreamError } from "../../errors/probestream-error.js";
import { toAccumulatorId } from "../../experts/architecture.js";
import type { Catalogue } from "../../experts/catalogue.js";
import type { IndexFacts } from "../../vectors/index-facts.js";
import type { EmbedPort, ModelPlan, PortAnswer, PortResult, PortStream } from "../embed-port.js";
import type { ModelEmbedding, ModelOutcome } from "../embed-stream.js";
import type { Embedder } from "../open-embedder.js";
import { toRemedy } from "../upload-retry.js";
import { openProbeCache, type ProbeCache } from "./probe-cache.js";
import type { ProbingServer } from "./probing-server.js";
import type { ProjectedModel } from "./projected-model.js";

/**
 * Embeds models whose weights stay here: a server plans and represents, this process projects, by probes that are fetched once.
 * What is sent of a model is its tensors' names and shapes, its metadata, the digest of its layer, and sums of its weights:
 * 64 KiB at 128 × 128, and 32 KiB for the tree if the expert is calibrated. Results are those of streaming, but for the
 * backend's rounding.
 *
 * Closing the port leaves the server's connection open.
 *
 * @param server a connection: `connect`.
 * @param cacheFolder where probes are kept.
 * @param start starts what projects, with `holds: "probes"`, for the experts whose probes are in the folder.
 * @throws AccessDeniedError `ACCESS_DENIED` if the folder cannot be written, and what `start` throws.
 */
export async function openProbingPort(
  server: ProbingServer,
  cacheFolder: string,
  start: (catalogue: Catalogue) => Promise<Embedder>,
): Promise<EmbedPort> {
  const cache = await openProbeCache(server, cacheFolder);
  const embedder = await start(cache.catalogue);
  return {
    maxModels: Math.min(server.maxModels, embedder.limits.maxStreamModels),
    plan: async (requests, signal) => {
      const plans = await server.plan(requests, signal);
      const refused = await fetchProbes(cache, plans, signal);
      return plans.map((plan) => {
        if (plan instanceof ProbestreamError) return plan;
        const error = plan.experts.map((spaceId) => refused.get(spaceId)).find((one) => one !== undefined);
        // What an earlier upload brought to the server is of no use here.
        return error ?? { ...plan, starts: plan.starts.map(() => ({ offset: 0, segmentDigests: new Uint8Array(0) })) };
      });
    },
    open: async (signal) => openStream(embedder, server, signal),
    close: () => embedder.close(),
  };
}

/** Fetches what plans need; gives the experts whose probes cannot be had or used, and why. Throws what may pass. */
async function fetchProbes(
  cache: ProbeCache,
  plans: readonly (ModelPlan | ProbestreamError)[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ProbestreamError>> {
  const wanted = new Set(plans.flatMap((plan) => (plan instanceof ProbestreamError ? [] : plan.experts)));
  const refused = new Map<string, ProbestreamError>();
  for (const spaceId of wanted) {
    try {
      await cache.ensure([spaceId], signal);
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = toProbestreamError(thrown);
      if (toRemedy(error) === "resume") throw error;
      refused.set(spaceId, error);
    }
  }
  return refused;
}

/** A model of a stream, with what is sent of it once it is projected. */
interface Entry {
  readonly modelId: string;
  readonly plan: ModelPlan;
  readonly texts: Matrix | undefined;
  readonly index: IndexFacts | undefined;
}

function openStream(embedder: Embedder, server: ProbingServer, signal: AbortSignal | undefined): PortStream {
  signal?.throwIfAborted();
  const stream = embedder.openStream();
  const abort = (): void => stream.abort();
  signal?.addEventListener("abort", abort, { once: true });
  const letGo = (): void => signal?.removeEventListener("abort", abort);
  const entries: Entry[] = [];
  let inForce: Matrix | undefined;
  return {
    header: (modelId, plan, texts, index) => {
      if (texts !== undefined) inForce = texts.rows === 0 ? undefined : texts;
      entries.push({ modelId, plan, texts: inForce, index });
      return stream.header({
        modelId,
        uploadId: plan.uploadId,
        tensors: plan.tensors,
        experts: plan.experts,
        // Whose tree it is in the server finds out, from sums for all of them.
        isRouted: false,
        startOffsets: [],
        sketches: plan.sketches,
      });
    },
    chunk: (tensorIndex, offset, bytes) => stream.chunk(tensorIndex, offset, bytes),
    footer: (totalBytes, digest) => stream.footer({ totalBytes, digest }),
    get answered() {
      return stream.shouldStop;
    },
    finish: async () => {
      try {
        const outcomes = await stream.finish();
        signal?.throwIfAborted();
        return await embedAll(server, embedder, entries, outcomes, signal);
      } finally {
        letGo();
      }
    },
    abort: () => {
      letGo();
      abort();
    },
  };
}

/** Sends the sums of all models that were projected. */
async function embedAll(
  server: ProbingServer,
  { catalogue }: Embedder,
  entries: readonly Entry[],
  outcomes: readonly ModelOutcome[],
  signal: AbortSignal | undefined,
): Promise<PortAnswer> {
  const results: { modelId: string; outcome: PortResult | ProbestreamError }[] = [];
  const ready: { readonly place: number; readonly entry: Entry; readonly local: ModelEmbedding }[] = [];
  for (const [place, { modelId, outcome }] of outcomes.entries()) {
    const entry = entries[place];
    if (outcome instanceof Error) results[place] = { modelId, outcome };
    else if (entry !== undefined) ready.push({ place, entry, local: outcome });
  }
  for (const texts of new Set(ready.map(({ entry }) => entry.texts))) {
    const group = ready.filter(({ entry }) => entry.texts === texts);
    const models = await Promise.all(
      group.map(async ({ entry, local }) => {
        const experts = await Promise.all(entry.plan.experts.map((spaceId) => catalogue.get(spaceId)));
        return toProjectedModel(
          entry,
          local,
          experts.map(({ architecture }) => toAccumulatorId(architecture)),
        );
      }),
    );
    const answers = await server.embedProjections({ models, texts }, signal);
    for (const [index, { place, entry, local }] of group.entries()) {
      const answer = answers[index] ?? new InternalError("INTERNAL", "the server left a model out");
      const { modelId } = entry;
      results[place] = { modelId, outcome: answer instanceof ProbestreamError ? answer : withLocal(answer, local) };
    }
  }
  return { results, stoppedEarly: false };
}

function toProjectedModel(
  { modelId, plan, index }: Entry,
  { sums }: ModelEmbedding,
  accumulators: readonly string[],
): ProjectedModel {
  if (sums === undefined) throw new InternalError("INTERNAL", `the model "${modelId}" was projected without sums`);
  return {
    modelId,
    tensors: plan.tensors,
    targets: plan.experts.map((spaceId, target) => {
      const { state = [], sketch } = sums.targets[target] ?? {};
      return { spaceId, accumulator: accumulators[target] ?? "", state, sketch };
    }),
    isRouted: plan.isRouted,
    sketches: sums.sketches,
    weightsHash: sums.weightsHash,
    index,
  };
}

/** The server's answer with what was done here. */
function withLocal(answer: PortResult, local: ModelEmbedding): PortResult {
  const { rowsProjected, backends, timings } = local;
  const total = timings.total + answer.timings.total;
  return { ...answer, rowsProjected, backends, timings: { ...timings, total, head: answer.timings.head } };
}

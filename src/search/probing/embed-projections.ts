import { toProbestreamError } from "../../errors/plain-error.js";
import { AbortedError, InvalidInputError, type ProbestreamError } from "../../errors/probestream-error.js";
import { accumulatorBytes, accumulatorIds, toAccumulatorId } from "../../experts/architecture.js";
import type { BlockOperation, WorkerResult } from "../embed-messages.js";
import type { ModelEmbedding, ModelOutcome } from "../embed-stream.js";
import type { EmbedLimits } from "../limits.js";
import type { MemoryPlan } from "../memory-plan.js";
import { type IndexTask, type ModelIndexer, toIndexTask, withIndexed } from "../model-indexer.js";
import type { EmbeddingPlan } from "../plan-embedding.js";
import type { StreamEvents } from "../pool-member.js";
import { answerBytesOf, type Plan, planHeader } from "../stream-header.js";
import { createStreamTexts, type StreamTexts } from "../stream-texts.js";
import { toModelEmbedding } from "../to-model-embedding.js";
import { toWorkerTargets } from "../to-worker-targets.js";
import { openLink, type StreamLink, type WorkerPool } from "../worker-pool.js";
import type { ProjectedModel, ProjectionBatch } from "./projected-model.js";

/** What all batches of one embedder share. */
export interface ProjectionContext {
  readonly pool: WorkerPool;
  readonly memory: MemoryPlan;
  readonly limits: EmbedLimits;
  readonly plan: Plan;
  readonly indexer: ModelIndexer | undefined;
}

/** Models that a worker gets at once: enough to share one pass over M, and few sums in memory at a time. */
const modelsAtOnce = 32;

/** A model that may be finished. */
interface OpenedModel {
  readonly plan: EmbeddingPlan;
  readonly indexTask: IndexTask | undefined;
  /** Bytes of its result, about. */
  readonly answerBytes: number;
  readonly startedAt: number;
  readonly release: () => void;
}

/** The line to the worker that finishes a batch. */
interface BatchLine {
  readonly link: StreamLink;
  readonly texts: StreamTexts;
  /** Sends a model, and waits for what becomes of it. */
  finish(operations: readonly BlockOperation[], models: readonly number[]): Promise<WorkerOutcome>[];
  /** Settles all that is waited for, and all that still comes. */
  fail(error: ProbestreamError): void;
  end(): void;
}

type WorkerOutcome = WorkerResult | ProbestreamError;

/**
 * Embeds models whose layers were projected elsewhere: plans each once more, for nothing of what came is believed, and
 * finishes its sums in a worker. One model's failure fails no other.
 *
 * Memory: what a stream costs; per model, 32 at a time, its accumulators and sketches.
 *
 * @returns outcomes in order; fewer than models where the answer has grown to its limit, but at least one.
 * @throws LimitExceededError `MEMORY_BUDGET` if there is no room for a stream; InvalidInputError `FIELD_INVALID` for text
 * vectors that are not finite; AbortedError when the signal is aborted.
 */
export async function embedProjections(
  context: ProjectionContext,
  { models, texts }: ProjectionBatch,
  signal?: AbortSignal,
): Promise<ModelOutcome[]> {
  const line = openLine(context);
  const abort = (): void => line.fail(new AbortedError("FOOTER_MISSING", "the call was given up"));
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    if (texts !== undefined) await line.texts.take(texts);
    const outcomes: ModelOutcome[] = [];
    const answer = { bytes: 0, limit: context.limits.maxAnswerBytes };
    while (outcomes.length < models.length && answer.bytes < answer.limit) {
      const group = models.slice(outcomes.length, outcomes.length + modelsAtOnce);
      outcomes.push(...(await finishGroup(context, group, outcomes.length, line, answer)));
      if (signal?.aborted === true) throw new AbortedError("FOOTER_MISSING", "the call was given up");
    }
    return outcomes;
  } finally {
    signal?.removeEventListener("abort", abort);
    line.end();
  }
}

function openLine({ pool, memory }: ProjectionContext): BatchLine {
  const waiting = new Map<number, (outcome: WorkerOutcome) => void>();
  let failure: ProbestreamError | undefined;
  const fail = (error: ProbestreamError): void => {
    failure ??= error;
    for (const model of [...waiting.keys()]) settle(model, error);
  };
  const settle = (model: number, outcome: WorkerOutcome): void => {
    waiting.get(model)?.(outcome);
    waiting.delete(model);
  };
  const events: StreamEvents = {
    onBlockDone: () => {},
    onCheckpoint: () => {},
    onResult: settle,
    onFailed: settle,
    onLost: fail,
  };
  const releaseStream = memory.admitStream();
  const link = openLink(pool, events, releaseStream);
  // Nothing but operations: sums are no bytes of a layer.
  const send = (operations: readonly BlockOperation[]): void => link.send(new ArrayBuffer(0), operations);
  const texts = createStreamTexts(memory, async (matrix) => send([{ op: "texts", texts: matrix }]));
  return {
    link,
    texts,
    finish: (operations, models) => {
      const outcomes = models.map((model) => new Promise<WorkerOutcome>((resolve) => waiting.set(model, resolve)));
      if (failure !== undefined) fail(failure);
      else if (operations.length > 0) send(operations);
      return outcomes;
    },
    fail,
    end: () => {
      link.end();
      texts.release();
      releaseStream();
    },
  };
}

/** Finishes models side by side, until the answer is as long as it may be. */
async function finishGroup(
  context: ProjectionContext,
  models: readonly ProjectedModel[],
  firstIndex: number,
  line: BatchLine,
  answer: { bytes: number; readonly limit: number },
): Promise<ModelOutcome[]> {
  const opened: (OpenedModel | ProbestreamError)[] = [];
  try {
    for (const model of models) {
      if (answer.bytes >= answer.limit) break;
      const one = await openModel(context, model, line).catch(toProbestreamError);
      opened.push(one);
      answer.bytes += one instanceof Error ? failureBytes : one.answerBytes;
    }
    const ready = opened.flatMap((one, index) => (one instanceof Error ? [] : [{ ...one, index }]));
    const operations = ready.flatMap(({ plan, index }): BlockOperation[] => [
      toOpen(firstIndex + index, models[index] as ProjectedModel, plan),
      { op: "close", digest: undefined },
    ]);
    const finished = line.finish(
      operations,
      ready.map(({ index }) => firstIndex + index),
    );
    const outcomes: (ModelEmbedding | ProbestreamError | undefined)[] = opened.map((one) =>
      one instanceof Error ? one : undefined,
    );
    await Promise.all(
      ready.map(async (one, place) => {
        const result = await (finished[place] as Promise<WorkerOutcome>);
        outcomes[one.index] = await toOutcome(one, result);
      }),
    );
    return outcomes.map((outcome, index) => {
      const { modelId } = models[index] as ProjectedModel;
      return { modelId, uploadId: "", outcome: outcome as ModelEmbedding | ProbestreamError };
    });
  } finally {
    for (const one of opened) if (!(one instanceof Error)) one.release();
  }
}

/** Bytes of an error on the wire, about. */
const failureBytes = 720;

async function openModel(
  { memory, plan, indexer }: ProjectionContext,
  model: ProjectedModel,
  { link, texts }: BatchLine,
): Promise<OpenedModel> {
  const startedAt = performance.now();
  const { modelId, tensors, targets, isRouted } = model;
  const indexTask = toIndexTask(model.index, indexer);
  const experts = targets.map(({ spaceId }) => spaceId);
  const planned = await planHeader({ modelId, uploadId: "", tensors, experts, isRouted, startOffsets: [] }, plan);
  assertAccumulators(model, planned);
  texts.admit(planned);
  const bytes = sumsBytesOf(model, planned) + (indexTask?.bytes ?? 0);
  const release = memory.reserve(bytes, `the sums of model "${modelId}"`, "model");
  try {
    for (const { expert } of planned.targets) await link.ensureLoaded(expert);
  } catch (error) {
    release();
    throw error;
  }
  return { plan: planned, indexTask, answerBytes: answerBytesOf(planned, texts.count), startedAt, release };
}

/** Guards that the sums are of the accumulators that the experts have. Throws InvalidInputError `FIELD_INVALID`. */
function assertAccumulators({ targets, sketches }: ProjectedModel, plan: EmbeddingPlan): void {
  for (const [index, { expert }] of plan.targets.entries()) {
    const { accumulator = "", sketch } = targets[index] ?? {};
    const wanted = toAccumulatorId(expert.architecture);
    if (accumulator !== wanted) {
      const message = `targets[${index}].accumulator is "${accumulator.slice(0, 80)}"; the expert "${expert.name}" takes "${wanted}", this server ${accumulatorIds.join(", ")}: fetch its probes anew, or stream the weights`;
      throw new InvalidInputError("FIELD_INVALID", message, {
        accumulator: accumulator.slice(0, 80),
        expected: wanted,
      });
    }
    if (sketch !== undefined && sketches[sketch] === undefined) {
      const message = `targets[${index}].sketch is ${sketch}; the model has ${sketches.length} sketches, counted from 0`;
      throw new InvalidInputError("FIELD_INVALID", message, { found: sketch, sketches: sketches.length });
    }
  }
}

/** Bytes that a model keeps here and in its worker: its sums as they came, its accumulators, and what judges sketches. */
function sumsBytesOf({ targets, sketches }: ProjectedModel, plan: EmbeddingPlan): number {
  const parts = [...sketches, ...targets.flatMap(({ state }) => state)];
  const kept = plan.targets.map(({ expert, uses }) => {
    const rank = uses.find(({ role }) => role === "lora-up")?.matrix.columnCount;
    return accumulatorBytes(expert.architecture, rank);
  });
  const came = parts.map(({ values }) => values.byteLength);
  // Once here, once on the way, once there; a sketch there is float64.
  return 4 * came.reduce((sum, bytes) => sum + bytes, 0) + kept.reduce((sum, bytes) => sum + bytes, 0);
}

function toOpen(
  model: number,
  { targets, sketches, weightsHash, isRouted }: ProjectedModel,
  plan: EmbeddingPlan,
): BlockOperation {
  return {
    op: "open",
    model,
    tensors: plan.tensors.map(({ matrix }) => matrix),
    targets: toWorkerTargets(plan),
    state: undefined,
    resumable: false,
    isRouted,
    sums: { targets: targets.map(({ state, sketch }) => ({ state, sketch })), sketches, weightsHash },
  };
}

async function toOutcome(
  { plan, indexTask, startedAt }: OpenedModel,
  result: WorkerOutcome,
): Promise<ModelEmbedding | ProbestreamError> {
  if (result instanceof Error) return result;
  const arrival = { bytesReceived: 0, receiveMs: 0, waitMs: 0, startedAt };
  return withIndexed(toModelEmbedding(plan, result, arrival), indexTask);
}

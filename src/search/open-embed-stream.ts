import { toProbestreamError } from "../errors/plain-error.js";
import {
  AbortedError,
  InvalidInputError,
  LimitExceededError,
  type ProbestreamError,
} from "../errors/probestream-error.js";
import { segmentBytes } from "../projection/segments.js";
import { type BlockWriter, createBlockWriter } from "./block-writer.js";
import type { WorkerResult } from "./embed-messages.js";
import type { EmbedStream, ModelEmbedding, ModelHeader } from "./embed-stream.js";
import type { EmbedLimits } from "./limits.js";
import type { MemoryPlan } from "./memory-plan.js";
import { type IndexTask, type ModelIndexer, toIndexTask, withIndexed } from "./model-indexer.js";
import { createModelSlots, type ModelSlot, type StreamedModel, savedBytesOf } from "./model-slots.js";
import type { PlannedTensor } from "./plan-embedding.js";
import type { StreamEvents } from "./pool-member.js";
import {
  answerBytesOf,
  assertChunkLength,
  assertDigestLength,
  modelBytesOf,
  type Plan,
  planHeader,
} from "./stream-header.js";
import { createStreamTexts } from "./stream-texts.js";
import { toModelEmbedding } from "./to-model-embedding.js";
import { toWorkerTargets } from "./to-worker-targets.js";
import { assertComplete, toChunkCursor, toCursor } from "./upload-cursor.js";
import type { UploadRegistry } from "./upload-registry.js";
import { openLink, type WorkerPool } from "./worker-pool.js";

/** What streams of one embedder share. */
export interface StreamContext {
  readonly pool: WorkerPool;
  readonly memory: MemoryPlan;
  readonly uploads: UploadRegistry;
  readonly limits: EmbedLimits;
  readonly plan: Plan;
  /** Whether sums may lie on a device that may be lost, so that blocks are kept. */
  readonly keepsBlocks: boolean;
  /** Puts models into a catalogue; absent without one. */
  readonly indexer: ModelIndexer | undefined;
  /** Whether models end in sums, for another process to embed them. */
  readonly endsInSums: boolean;
}

/** The model between its header and its footer. */
interface OpenModel {
  readonly index: number;
  /** Bytes that the header announced and that did not come yet. */
  remaining: number;
}

/**
 * Opens a stream of models. Nothing but the open model's accumulators and a fixed number of blocks is kept, however
 * large the layers are.
 *
 * @throws LimitExceededError `MEMORY_BUDGET` if the memory plan has no room for another stream.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if no worker is running now.
 */
export function openEmbedStream(context: StreamContext): EmbedStream {
  const { pool, memory, uploads, limits, plan, keepsBlocks, indexer, endsInSums } = context;
  const releaseStream = memory.admitStream();
  const slots = createModelSlots();
  let current: OpenModel | undefined;
  let lost: ProbestreamError | undefined;
  let ended = false;
  let answerBytes = 0;

  const modelOf = (open: OpenModel | undefined): StreamedModel | undefined =>
    open === undefined ? undefined : slots.get(open.index)?.model;

  const events: StreamEvents = {
    onBlockDone: (buffer) => writer.giveBack(buffer),
    onCheckpoint: (index, state) => void slots.save(index, state),
    onResult: (index, result) => {
      const model = slots.get(index)?.model;
      if (model !== undefined) void settle(index, model.indexTask, toEmbedding(model, result));
    },
    onFailed: (index, error) => {
      // Where the bytes or the state are wrong, going on from the latter would only repeat it.
      if (isLasting(error) || isOfRouting(error)) slots.get(index)?.model?.ticket.forget();
      slots.settle(index, error);
    },
    onLost: (error) => {
      lost = error;
      writer.fail(error);
      slots.settleAll(error);
    },
  };
  /** The next models are taken in meanwhile: only the answer waits for the catalogue. */
  const settle = async (index: number, task: IndexTask | undefined, embedding: ModelEmbedding): Promise<void> =>
    slots.settle(index, await withIndexed(embedding, task));
  const link = openLink(pool, events, releaseStream);
  const writer: BlockWriter = createBlockWriter((buffer, operations) => link.send(buffer, operations));
  const texts = createStreamTexts(memory, async (vectors) => {
    await writer.push({ op: "texts", texts: vectors });
    // Vectors may be as long as a message: they must not pile up in one block.
    writer.flush();
  });

  /** Ends the open model with an error; what is still sent of it is passed over, here and in the worker. */
  const failCurrent = (thrown: unknown): void => {
    if (current !== undefined) slots.settle(current.index, toProbestreamError(thrown));
  };

  const end = (): void => {
    if (ended) return;
    ended = true;
    link.end();
    texts.release();
    releaseStream();
  };

  const assertNoneOpen = (): void => {
    if (current === undefined) return;
    const { modelId } = slots.get(current.index) as ModelSlot;
    throw streamOrder(`a header came while model "${modelId}" is still open; send its footer first`);
  };

  const openModel = async (header: ModelHeader, index: number): Promise<StreamedModel> => {
    const indexTask = toIndexTask(header.index, indexer);
    const planned = await planHeader(header, plan);
    texts.admit(planned);
    const resumable = planned.totalBytes >= segmentBytes && !endsInSums;
    const { ticket, state } = await uploads.open(header.uploadId, planned.fingerprint, () => {
      const message = `another stream took over the upload "${header.uploadId}"; this one is given up`;
      slots.settle(index, new AbortedError("UPLOAD_IN_USE", message));
    });
    let release = (): void => {};
    try {
      const saved = header.startOffsets.some((offset) => offset > 0) ? state : undefined;
      const cursors = planned.tensors.map((tensor, t) => toCursor(tensor, header.startOffsets[t] ?? 0, saved, t));
      const modelBytes = modelBytesOf(planned, keepsBlocks) + (indexTask?.bytes ?? 0);
      release = memory.reserve(modelBytes, `the accumulators of model "${header.modelId}"`, "model");
      for (const { expert } of planned.targets) await link.ensureLoaded(expert);
      await writer.push({
        op: "open",
        model: index,
        tensors: planned.tensors.map(({ matrix }) => matrix),
        targets: toWorkerTargets(planned, header.sketches),
        state: saved,
        resumable,
        isRouted: planned.isRouted,
      });
      return {
        plan: planned,
        ticket,
        release,
        startedAt: performance.now(),
        cursors,
        resumable,
        indexTask,
        savedBytes: saved === undefined ? 0 : savedBytesOf(saved),
        received: 0,
        receiveMs: 0,
        waitMs: 0,
      };
    } catch (error) {
      release();
      ticket.close("unfinished");
      throw error;
    }
  };

  /** Waits until little enough is unsaved. */
  const waitForSave = async (index: number): Promise<void> => {
    if (!slots.isAhead(index)) return;
    // The end of a segment may lie in a block that is not full yet.
    writer.flush();
    await slots.untilSaved(index);
  };

  return {
    header: async (header) => {
      assertNoneOpen();
      if (slots.count >= limits.maxStreamModels) {
        throw new LimitExceededError(
          "LIMIT_EXCEEDED",
          `a stream takes ${limits.maxStreamModels} models at most; open another for the rest`,
          { limit: limits.maxStreamModels },
        );
      }
      const index = slots.add(header.modelId, header.uploadId);
      const remaining = header.tensors.reduce(
        (sum, { beginByte, endByte }, t) => sum + Math.max(0, endByte - beginByte - (header.startOffsets[t] ?? 0)),
        0,
      );
      current = { index, remaining };
      try {
        if (lost !== undefined) throw lost;
        if (header.texts !== undefined) await texts.take(header.texts);
        const model = await openModel(header, index);
        const slot = slots.get(index) as ModelSlot;
        if (slot.settled) {
          // Taken over, lost or given up while it was opened: nobody else will give back what it holds.
          model.release();
          model.ticket.close("unfinished");
          return;
        }
        slot.model = model;
        answerBytes += answerBytesOf(model.plan, texts.count) + 3 * (model.indexTask?.facts.modelId.length ?? 0);
      } catch (error) {
        failCurrent(error);
      }
    },

    refuse: async ({ modelId, uploadId, declaredBytes, hasTexts, error }) => {
      assertNoneOpen();
      const index = slots.add(modelId, uploadId);
      current = { index, remaining: declaredBytes };
      if (hasTexts) texts.refuse(modelId, error);
      failCurrent(error);
    },

    fail: async (error) => {
      if (current === undefined) throw streamOrder("a chunk or footer came before any header; open the model first");
      failCurrent(error);
    },

    chunk: async (tensorIndex, offset, bytes) => {
      if (current === undefined) throw streamOrder("a chunk came before any header; open the model first");
      const { index } = current;
      current.remaining -= bytes.byteLength;
      const model = modelOf(current);
      if (model === undefined) return;
      const started = performance.now();
      let waitMs = 0;
      try {
        assertChunkLength(bytes.byteLength, limits.maxChunkBytes);
        const cursor = toChunkCursor(model.cursors, tensorIndex, offset, bytes.byteLength);
        await waitForSave(index);
        waitMs = performance.now() - started;
        // Taken over or lost meanwhile.
        if (modelOf(current) !== model) return;
        const waited = writer.waitMs;
        const known = Math.min(Math.max(0, cursor.saved - offset), bytes.byteLength);
        const { matrix } = model.plan.tensors[tensorIndex] as PlannedTensor;
        if (known < bytes.byteLength) await writer.write(tensorIndex, matrix, offset + known, bytes.subarray(known));
        waitMs += writer.waitMs - waited;
        cursor.next += bytes.byteLength;
        model.received += bytes.byteLength;
      } catch (error) {
        failCurrent(error);
      }
      model.waitMs += waitMs;
      model.receiveMs += performance.now() - started - waitMs;
    },

    footer: async ({ totalBytes, digest }) => {
      if (current === undefined) throw streamOrder("a footer came before any header; open the model first");
      const model = modelOf(current);
      try {
        if (model !== undefined) {
          assertDigestLength(digest);
          assertComplete(model.cursors, totalBytes);
          await writer.push({ op: "close", digest: digest.byteLength === 0 ? undefined : digest.slice() });
        }
      } catch (error) {
        failCurrent(error);
      }
      current = undefined;
    },

    get shouldStop() {
      return current !== undefined && modelOf(current) === undefined && current.remaining > limits.maxDiscardBytes;
    },

    get isFull() {
      if (current !== undefined) return false;
      return answerBytes >= limits.maxAnswerBytes || slots.count >= limits.maxStreamModels;
    },

    finish: async (cut) => {
      try {
        if (current !== undefined) {
          const { modelId } = slots.get(current.index) as ModelSlot;
          // What arrived is projected first, so that the last checkpoint is as late as it can be.
          if (lost === undefined && modelOf(current) !== undefined) await writer.drain();
          failCurrent(
            cut ??
              new AbortedError(
                "FOOTER_MISSING",
                `the stream ended before the footer of model "${modelId}"; nothing of it was committed`,
              ),
          );
          current = undefined;
        }
        if (lost === undefined) writer.flush();
        return await slots.outcomes();
      } finally {
        end();
      }
    },

    abort: () => {
      const error = new AbortedError("FOOTER_MISSING", "the stream was given up");
      lost ??= error;
      writer.fail(error);
      slots.settleAll(error);
      end();
    },
  };
}

/** Whether sending the same again can only fail again. */
function isLasting({ kind }: ProbestreamError): boolean {
  return kind === "invalid-input" || kind === "corrupt-data";
}

/** Whether another expert is to serve, or none: the state is of no use to it. */
function isOfRouting({ reason }: ProbestreamError): boolean {
  return reason === "REROUTED" || reason === "NO_EXPERT";
}

function toEmbedding(model: StreamedModel, result: WorkerResult): ModelEmbedding {
  const { plan, received, receiveMs, waitMs, startedAt } = model;
  return toModelEmbedding(plan, result, { bytesReceived: received, receiveMs, waitMs, startedAt });
}

function streamOrder(message: string): InvalidInputError {
  return new InvalidInputError("STREAM_ORDER", message);
}

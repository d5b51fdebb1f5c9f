import type { Matrix } from "../compute/compute-backend.js";
import { toProbestreamError } from "../errors/plain-error.js";
import {
  AbortedError,
  InternalError,
  InvalidInputError,
  LimitExceededError,
  PreconditionError,
  type ProbestreamError,
} from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import { assertFiniteTexts, toProbabilities } from "../experts/head.js";
import { digestBytes } from "../projection/range-reader.js";
import { targetGroupBytes } from "../projection/row-groups.js";
import { segmentBytes } from "../projection/segments.js";
import { rowBytes } from "../projection/stored-matrix.js";
import type { TensorInfo } from "../weights/layer.js";
import { type BlockWriter, createBlockWriter } from "./block-writer.js";
import type { WorkerResult } from "./embed-messages.js";
import type { PortResult } from "./embed-port.js";
import type { EmbedLimits } from "./limits.js";
import type { MemoryPlan } from "./memory-plan.js";
import type { EmbeddingPlan, PlannedTensor } from "./plan-embedding.js";
import { assertComplete, toChunkCursor, toCursor, type UploadCursor } from "./upload-cursor.js";
import type { UploadRegistry, UploadTicket } from "./upload-registry.js";
import type { StreamEvents, StreamLink, WorkerPool } from "./worker-pool.js";

/** What opens a model: copied from its plan. */
export interface ModelHeader {
  readonly modelId: string;
  readonly uploadId: string;
  readonly tensors: readonly { readonly tensor: TensorInfo; readonly beginByte: number; readonly endByte: number }[];
  /** Space ids. */
  readonly experts: readonly string[];
  /** Per tensor, bytes that are not sent because an earlier upload brought them; empty for none. */
  readonly startOffsets: readonly number[];
  /** Text vectors for this model and those after it; a matrix of 0 rows ends the previous ones. */
  readonly texts?: Matrix;
}

/** What closes a model. */
export interface ModelFooter {
  readonly totalBytes: number;
  /** SHA-256 over the digests of all segments; empty if the client computed none. */
  readonly digest: Uint8Array;
}

/** Result of one expert. */
export interface ExpertEmbedding {
  readonly expert: Expert;
  /** e, r_T numbers. */
  readonly representation: Float32Array;
  /** Cosine with each text vector in force; empty without any. */
  readonly cosines: Float32Array;
  /** Logit per label; empty for zero-shot experts. */
  readonly logits: Float32Array;
  /** sigmoid of the logits. */
  readonly probabilities: Float32Array;
}

/** Result of one model. */
export interface ModelEmbedding extends Omit<PortResult, "embeddings"> {
  readonly embeddings: readonly ExpertEmbedding[];
}

/** What became of one model. */
export interface ModelOutcome {
  readonly modelId: string;
  readonly uploadId: string;
  readonly outcome: ModelEmbedding | ProbestreamError;
}

/** Models in, outcomes out. Calls come one after another, each awaited: that is the backpressure. */
export interface EmbedStream {
  /** @throws InvalidInputError `STREAM_ORDER` if the previous model is still open. */
  header(header: ModelHeader): Promise<void>;
  /** @throws InvalidInputError `STREAM_ORDER` if no model is open. */
  chunk(tensorIndex: number, offset: number, bytes: Uint8Array): Promise<void>;
  /** @throws InvalidInputError `STREAM_ORDER` if no model is open. */
  footer(footer: ModelFooter): Promise<void>;
  /** So much of a failed model is still to come that it is better to answer now. */
  readonly shouldStop: boolean;
  /** The answer is as long as it may be: no further model is taken, it must be sent again on another stream. */
  readonly isFull: boolean;
  /** Outcomes of all models in order. A model without a footer gets `FOOTER_MISSING`, or `cut` where given. */
  finish(cut?: ProbestreamError): Promise<ModelOutcome[]>;
  /** Gives up all that is not finished; what was checkpointed can be resumed. */
  abort(): void;
}

/** What streams of one embedder share. */
export interface StreamContext {
  readonly pool: WorkerPool;
  readonly memory: MemoryPlan;
  readonly uploads: UploadRegistry;
  readonly limits: EmbedLimits;
  plan(tensors: ReadonlyMap<string, TensorInfo>, experts: readonly string[]): Promise<EmbeddingPlan>;
}

/** The model between its header and its footer. */
interface OpenModel {
  readonly index: number;
  /** Absent once the model failed. */
  upload: Upload | undefined;
  /** Bytes that the header announced and that did not come yet. */
  remaining: number;
}

/** A model that is received or computed. */
interface Upload {
  readonly plan: EmbeddingPlan;
  readonly ticket: UploadTicket;
  readonly release: () => void;
  readonly startedAt: number;
  readonly cursors: readonly UploadCursor[];
  received: number;
  receiveMs: number;
  waitMs: number;
}

interface Slot {
  readonly modelId: string;
  readonly uploadId: string;
  upload: Upload | undefined;
  /** Whether the outcome is known: what is still computed of the model is for nothing. */
  settled: boolean;
  readonly outcome: Promise<ModelEmbedding | ProbestreamError>;
  readonly settle: (outcome: ModelEmbedding | ProbestreamError) => void;
}

/**
 * Opens a stream of models. Nothing but the open model's accumulators and a fixed number of blocks is kept, however
 * large the layers are.
 *
 * @throws LimitExceededError `MEMORY_BUDGET` if the memory plan has no room for another stream.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if no worker is running now.
 */
export function openEmbedStream({ pool, memory, uploads, limits, plan }: StreamContext): EmbedStream {
  const releaseStream = memory.admitStream();
  const slots: Slot[] = [];
  let current: OpenModel | undefined;
  let textWidth: number | undefined;
  let lost: ProbestreamError | undefined;
  let ended = false;
  let textCount = 0;
  let answerBytes = 0;

  const settle = (index: number, outcome: ModelEmbedding | ProbestreamError): void => {
    const slot = slots[index];
    if (slot === undefined) return;
    slot.upload?.release();
    slot.upload?.ticket.close(outcome instanceof Error ? "keep" : "remove");
    slot.upload = undefined;
    slot.settled = true;
    if (current?.index === index) current.upload = undefined;
    slot.settle(outcome);
  };

  const events: StreamEvents = {
    onBlockDone: (buffer) => writer.giveBack(buffer),
    onCheckpoint: (index, state) => slots[index]?.upload?.ticket.save(state),
    onResult: (index, result) => {
      const upload = slots[index]?.upload;
      if (upload !== undefined) settle(index, toEmbedding(upload, result));
    },
    onFailed: (index, error) => {
      // What went wrong lies in the bytes or in the state: going on from the latter would only repeat it.
      slots[index]?.upload?.ticket.forget();
      settle(index, error);
    },
    onLost: (error) => {
      lost = error;
      writer.fail(error);
      for (const index of slots.keys()) settle(index, error);
    },
  };
  const link = openLink(pool, events, releaseStream);
  const writer: BlockWriter = createBlockWriter((buffer, operations) => link.send(buffer, operations));

  /** Ends the open model with an error; what is still sent of it is passed over. */
  const failCurrent = async (thrown: unknown): Promise<void> => {
    if (current === undefined) return;
    const wasOpen = current.upload !== undefined;
    settle(current.index, toProbestreamError(thrown));
    if (wasOpen && lost === undefined) await writer.push({ op: "drop" });
  };

  const end = (): void => {
    if (ended) return;
    ended = true;
    link.end();
    releaseStream();
  };

  const openUpload = async (header: ModelHeader, index: number): Promise<Upload> => {
    const planned = await planFor(header, plan);
    assertTexts(planned, textWidth);
    const resumable = planned.totalBytes >= segmentBytes;
    const { ticket, state } = await uploads.open(header.uploadId, planned.fingerprint, () => {
      void takeOver(index);
    });
    let release = (): void => {};
    try {
      const saved = header.startOffsets.some((offset) => offset > 0) ? state : undefined;
      const cursors = planned.tensors.map((tensor, t) => toCursor(tensor, header.startOffsets[t] ?? 0, saved, t));
      release = memory.reserve(accumulatorBytes(planned), `the accumulators of model "${header.modelId}"`, "model");
      for (const { expert } of planned.targets) await link.ensureLoaded(expert);
      await writer.push({
        op: "open",
        model: index,
        tensors: planned.tensors.map(({ matrix }) => matrix),
        targets: planned.targets.map(({ expert, uses }) => ({ spaceId: expert.spaceId, uses })),
        state: saved,
        resumable,
      });
      const startedAt = performance.now();
      const counters = { received: 0, receiveMs: 0, waitMs: 0 };
      return { plan: planned, ticket, release, startedAt, cursors, ...counters };
    } catch (error) {
      release();
      ticket.close("keep");
      throw error;
    }
  };

  const takeOver = async (index: number): Promise<void> => {
    const error = new AbortedError(
      "UPLOAD_IN_USE",
      `another stream took over the upload "${slots[index]?.uploadId}"; this one is given up`,
    );
    if (current?.index === index) await failCurrent(error);
    else settle(index, error);
  };

  return {
    header: async (header) => {
      if (current !== undefined) {
        throw streamOrder(
          `a header came while model "${slots[current.index]?.modelId}" is still open; send its footer first`,
        );
      }
      if (slots.length >= limits.maxStreamModels) {
        throw new LimitExceededError(
          "LIMIT_EXCEEDED",
          `a stream takes ${limits.maxStreamModels} models at most; open another for the rest`,
          { limit: limits.maxStreamModels },
        );
      }
      const index = slots.length;
      slots.push(createSlot(header));
      const remaining = header.tensors.reduce(
        (sum, { beginByte, endByte }, t) => sum + Math.max(0, endByte - beginByte - (header.startOffsets[t] ?? 0)),
        0,
      );
      current = { index, upload: undefined, remaining };
      try {
        if (lost !== undefined) throw lost;
        if (header.texts !== undefined) {
          assertFiniteTexts(header.texts);
          const texts = header.texts.rows === 0 ? undefined : header.texts;
          textWidth = texts?.columns;
          textCount = header.texts.rows;
          await writer.push({ op: "texts", texts });
          // Vectors may be as long as a message: they must not pile up in one block.
          writer.flush();
        }
        const upload = await openUpload(header, index);
        const slot = slots[index] as Slot;
        if (slot.settled) {
          // Taken over, lost or given up while it was opened: nobody else will give back what it holds.
          upload.release();
          upload.ticket.close("keep");
          if (lost === undefined) await writer.push({ op: "drop" });
          return;
        }
        slot.upload = upload;
        current.upload = upload;
        answerBytes += toAnswerBytes(upload.plan, textCount);
      } catch (error) {
        await failCurrent(error);
      }
    },

    chunk: async (tensorIndex, offset, bytes) => {
      if (current === undefined) throw streamOrder("a chunk came before any header; open the model first");
      current.remaining -= bytes.byteLength;
      const { upload } = current;
      if (upload === undefined) return;
      const started = performance.now();
      const waited = writer.waitMs;
      try {
        const cursor = toChunkCursor(upload.cursors, tensorIndex, offset, bytes.byteLength);
        const known = Math.min(Math.max(0, cursor.saved - offset), bytes.byteLength);
        const { matrix } = upload.plan.tensors[tensorIndex] as PlannedTensor;
        if (known < bytes.byteLength) await writer.write(tensorIndex, matrix, offset + known, bytes.subarray(known));
        cursor.next += bytes.byteLength;
        upload.received += bytes.byteLength;
      } catch (error) {
        await failCurrent(error);
      }
      upload.receiveMs += performance.now() - started - (writer.waitMs - waited);
      upload.waitMs += writer.waitMs - waited;
    },

    footer: async ({ totalBytes, digest }) => {
      if (current === undefined) throw streamOrder("a footer came before any header; open the model first");
      const { upload } = current;
      try {
        if (upload !== undefined) {
          assertDigestLength(digest);
          assertComplete(upload.cursors, totalBytes);
          await writer.push({ op: "close", digest: digest.byteLength === 0 ? undefined : digest.slice() });
        }
      } catch (error) {
        await failCurrent(error);
      }
      current = undefined;
    },

    get shouldStop() {
      return current !== undefined && current.upload === undefined && current.remaining > limits.maxDiscardBytes;
    },

    get isFull() {
      return answerBytes >= limits.maxAnswerBytes;
    },

    finish: async (cut) => {
      try {
        if (current !== undefined) {
          const modelId = slots[current.index]?.modelId;
          // What arrived is projected first, so that the last checkpoint is as late as it can be.
          if (lost === undefined && current.upload !== undefined) await writer.drain();
          await failCurrent(
            cut ??
              new AbortedError(
                "FOOTER_MISSING",
                `the stream ended before the footer of model "${modelId}"; nothing of it was committed`,
              ),
          );
          current = undefined;
        }
        if (lost === undefined) writer.flush();
        const outcomes = await Promise.all(slots.map(({ outcome }) => outcome));
        return slots.map(({ modelId, uploadId }, index) => {
          const outcome = outcomes[index] as ModelEmbedding | ProbestreamError;
          return { modelId, uploadId, outcome };
        });
      } finally {
        end();
      }
    },

    abort: () => {
      const error = new AbortedError("FOOTER_MISSING", "the stream was given up");
      lost ??= error;
      writer.fail(error);
      for (const index of slots.keys()) settle(index, error);
      end();
    },
  };
}

function openLink(pool: WorkerPool, events: StreamEvents, onError: () => void): StreamLink {
  try {
    return pool.open(events);
  } catch (error) {
    onError();
    throw error;
  }
}

/** Plans once more from what the header says: nothing of a plan is kept, and nothing of a header is believed. */
async function planFor(header: ModelHeader, plan: StreamContext["plan"]): Promise<EmbeddingPlan> {
  const tensors = new Map(header.tensors.map(({ tensor }) => [tensor.name, tensor]));
  if (header.experts.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "the header has no space_ids; copy those of the plan's targets");
  }
  const planned = await plan(tensors, header.experts);
  const differs =
    planned.tensors.length !== header.tensors.length ||
    planned.tensors.some(({ tensor, beginByte, endByte }, index) => {
      const sent = header.tensors[index];
      return sent?.tensor.name !== tensor.name || sent.beginByte !== beginByte || sent.endByte !== endByte;
    });
  if (!differs) return planned;
  const wanted = planned.tensors.map(({ tensor, beginByte, endByte }) => `"${tensor.name}" ${beginByte} to ${endByte}`);
  throw new PreconditionError(
    "PLAN_STALE",
    `the header's tensors are not those of the plan, which wants, in this order: ${wanted.join(", ")}; copy them from PlanEmbedding`,
  );
}

/** Text vectors concern the experts that compare with text; others, of the same stream or model, pass them over. */
function assertTexts({ targets }: EmbeddingPlan, inForce: number | undefined): void {
  const widths = targets.map(({ expert }) => expert.textWidth).filter((width) => width > 0);
  const other = widths.find((width) => inForce !== undefined && width !== inForce);
  if (other === undefined || inForce === undefined) return;
  throw new InvalidInputError(
    "TEXT_WIDTH_MISMATCH",
    `text vectors are ${inForce} wide, the expert compares with ${other}: use the text encoder it was trained with`,
    { found: inForce, expected: other },
  );
}

function assertDigestLength(digest: Uint8Array): void {
  if (digest.byteLength === 0 || digest.byteLength === digestBytes) return;
  throw new InvalidInputError(
    "FIELD_INVALID",
    `footer.digest has ${digest.byteLength} bytes; a SHA-256 has ${digestBytes}, and without one the field stays empty`,
    { found: digest.byteLength, expected: digestBytes },
  );
}

/** Bytes of all accumulators of a model, with one copy of their state on its way to the store. */
function accumulatorBytes({ tensors, targets }: EmbeddingPlan): number {
  // A row longer than a row group is collected whole, and widened up to fourfold.
  const longestRow = Math.max(...tensors.map(({ matrix }) => rowBytes(matrix)));
  let bytes = longestRow > targetGroupBytes ? 5 * longestRow : 0;
  for (const { expert, uses } of targets) {
    const rank = uses.find(({ role }) => role === "lora-up")?.matrix.columnCount;
    const { probeCount, projectionWidth } = expert;
    bytes += 3 * 4 * (rank === undefined ? probeCount * projectionWidth : rank * (probeCount + projectionWidth));
  }
  return bytes;
}

/** Bytes of a model's result on the wire, about. */
function toAnswerBytes({ targets }: EmbeddingPlan, textCount: number): number {
  const numbers = targets.map(({ expert }) => expert.representationWidth + 2 * expert.labelCount + textCount);
  return numbers.reduce((sum, count) => sum + 4 * count + 512, 0);
}

function toEmbedding(upload: Upload, { targets, rowsProjected, times, device }: WorkerResult): ModelEmbedding {
  const { plan, received, receiveMs, waitMs, startedAt } = upload;
  return {
    embeddings: plan.targets.map(({ expert }, index) => {
      const target = targets[index];
      if (target === undefined) throw new InternalError("INTERNAL", "a worker answered for fewer targets than asked");
      return { expert, ...target, probabilities: toProbabilities(target.logits) };
    }),
    bytesReceived: received,
    bytesTotal: plan.totalBytes,
    rowsProjected,
    timings: {
      total: performance.now() - startedAt,
      receive: receiveMs,
      wait: waitMs,
      digest: times.digestMs,
      project: times.projectMs,
      head: times.headMs,
    },
    backends: [device],
  };
}

function createSlot({ modelId, uploadId }: ModelHeader): Slot {
  let settle: Slot["settle"] = () => {};
  const outcome = new Promise<ModelEmbedding | ProbestreamError>((resolve) => {
    settle = resolve;
  });
  return { modelId, uploadId, upload: undefined, settled: false, outcome, settle };
}

function streamOrder(message: string): InvalidInputError {
  return new InvalidInputError("STREAM_ORDER", message);
}

import type { ProbestreamError } from "../errors/probestream-error.js";
import { segmentBytes } from "../projection/segments.js";
import { blockBytes } from "./block-writer.js";
import type { ModelState } from "./embed-messages.js";
import type { ModelEmbedding, ModelOutcome } from "./embed-stream.js";
import type { IndexTask } from "./model-indexer.js";
import type { EmbeddingPlan } from "./plan-embedding.js";
import type { UploadCursor } from "./upload-cursor.js";
import type { UploadTicket } from "./upload-registry.js";

/**
 * Bytes that are taken in beyond the last saved state: a segment, and a block that is computed while its end is
 * saved. With what is queued and under way before it, a process that dies loses less than 16 MiB of what was sent (with
 * chunks of 1 MiB and the usual receive window; as much more as these are larger).
 */
const maxUnsavedBytes = segmentBytes + blockBytes;

/** A model that is received or computed. */
export interface StreamedModel {
  readonly plan: EmbeddingPlan;
  readonly ticket: UploadTicket;
  readonly release: () => void;
  readonly startedAt: number;
  readonly cursors: readonly UploadCursor[];
  readonly resumable: boolean;
  /** Absent if the model is not to be indexed. */
  readonly indexTask: IndexTask | undefined;
  /** Bytes of all ranges that need not be sent again if this process dies. */
  savedBytes: number;
  received: number;
  receiveMs: number;
  waitMs: number;
}

/** One model of a stream, from its header to its outcome. */
export interface ModelSlot {
  readonly modelId: string;
  readonly uploadId: string;
  /** Absent before it is opened and after it settled. */
  model: StreamedModel | undefined;
  /** Whether the outcome is known: what is still computed of the model is for nothing. */
  settled: boolean;
}

/** The models of one stream, in order. */
export interface ModelSlots {
  readonly count: number;
  get(index: number): ModelSlot | undefined;
  /** Adds a model; returns its index. */
  add(modelId: string, uploadId: string): number;
  /** Ends a model and gives back what it holds. Only the first call counts. */
  settle(index: number, outcome: ModelEmbedding | ProbestreamError): void;
  settleAll(error: ProbestreamError): void;
  /** Saves a state of a model that is not settled. */
  save(index: number, state: ModelState): Promise<void>;
  /** Waits while more would be lost than may be, should this process die now; no longer than the model is open. */
  untilSaved(index: number): Promise<void>;
  /** Whether so much is unsaved that {@link untilSaved} would wait. */
  isAhead(index: number): boolean;
  /** All outcomes, in order, as soon as the last is known. */
  outcomes(): Promise<ModelOutcome[]>;
}

interface Entry extends ModelSlot {
  readonly outcome: Promise<ModelEmbedding | ProbestreamError>;
  readonly resolve: (outcome: ModelEmbedding | ProbestreamError) => void;
}

/** Creates the slots of a stream. */
export function createModelSlots(): ModelSlots {
  const entries: Entry[] = [];
  // Called when a state was saved or a model settled: whoever waits for either looks again.
  let wake: () => void = () => {};

  const settle = (index: number, outcome: ModelEmbedding | ProbestreamError): void => {
    const entry = entries[index];
    if (entry === undefined || entry.settled) return;
    entry.settled = true;
    entry.model?.release();
    entry.model?.ticket.close(outcome instanceof Error ? "unfinished" : "complete");
    entry.model = undefined;
    entry.resolve(outcome);
    wake();
  };

  const isAhead = (index: number): boolean => {
    const model = entries[index]?.model;
    if (model === undefined || !model.resumable) return false;
    return model.cursors.reduce((sum, { next }) => sum + next, 0) - model.savedBytes > maxUnsavedBytes;
  };

  return {
    get count() {
      return entries.length;
    },
    get: (index) => entries[index],
    add: (modelId, uploadId) => {
      let resolve: Entry["resolve"] = () => {};
      const outcome = new Promise<ModelEmbedding | ProbestreamError>((settled) => {
        resolve = settled;
      });
      entries.push({ modelId, uploadId, model: undefined, settled: false, outcome, resolve });
      return entries.length - 1;
    },
    settle,
    settleAll: (error) => {
      for (const index of entries.keys()) settle(index, error);
    },
    save: async (index, state) => {
      const model = entries[index]?.model;
      if (model === undefined) return;
      await model.ticket.save(state);
      model.savedBytes = Math.max(model.savedBytes, savedBytesOf(state));
      wake();
    },
    isAhead,
    untilSaved: async (index) => {
      while (isAhead(index)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    outcomes: async () => {
      const outcomes = await Promise.all(entries.map(({ outcome }) => outcome));
      return entries.map(({ modelId, uploadId }, index) => {
        return { modelId, uploadId, outcome: outcomes[index] as ModelEmbedding | ProbestreamError };
      });
    },
  };
}

/** Bytes of all ranges that a saved state accounts for. */
export function savedBytesOf({ tensors }: ModelState): number {
  return tensors.reduce((sum, { offset }) => sum + offset, 0);
}

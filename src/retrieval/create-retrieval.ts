import type { Catalogue } from "../experts/catalogue.js";
import { readScoreCalibration } from "../experts/score-calibration-file.js";
import type { TextEncoder } from "../text/text-encoder.js";
import type { VectorStore } from "../vectors/vector-store.js";
import { type Admit, createBatchGate } from "./batch-gate.js";
import { createCalibrations } from "./calibrations.js";
import { classify } from "./classify.js";
import { createExpertHeads } from "./expert-heads.js";
import { findDuplicates } from "./find-duplicates.js";
import { defaultRetrievalLimits, type RetrievalLimits } from "./limits.js";
import { createManageModels } from "./manage-models.js";
import { createManageSpaces } from "./manage-spaces.js";
import type { RetrievalContext } from "./retrieval-context.js";
import type { RetrievalPort } from "./retrieval-port.js";
import { retrieve } from "./retrieve.js";
import { createTextImages } from "./text-images.js";
import { createTransferModels } from "./transfer-models.js";

/** What retrieval works with. */
export interface RetrievalOptions {
  /** Stays the caller's, who closes it. */
  readonly store: VectorStore;
  /** Of experts. */
  readonly catalogue: Catalogue;
  /** Text encoders at hand; they stay the caller's. Their work belongs off the event loop. Default none. */
  readonly encoders?: readonly TextEncoder[] | undefined;
  readonly limits?: Partial<RetrievalLimits> | undefined;
  /** Reserves what batches and experts' heads take. Default: there is room for all. */
  readonly admit?: Admit | undefined;
}

/**
 * Searches and keeps a catalogue of models in this process: what a server does for its clients.
 *
 * Memory: heads of experts and their calibrations, 64 MiB of each at most, and 32 MiB of remembered texts, besides what
 * `admit` is asked for.
 */
export function createRetrieval(options: RetrievalOptions): RetrievalPort {
  const { store, catalogue, encoders = [], admit = () => () => {} } = options;
  const limits: RetrievalLimits = { ...defaultRetrievalLimits, ...options.limits };
  const heads = createExpertHeads(admit);
  const calibrations = createCalibrations(readScoreCalibration);
  const byIdentity = new Map(encoders.map((encoder) => [encoder.identity, encoder]));
  const texts = createTextImages({ encoders: byIdentity, heads, calibrations });
  const gate = createBatchGate(limits, admit);
  const context: RetrievalContext = { store, catalogue, limits, gate, admit, heads, calibrations, texts };
  return {
    retrieve: (queries, how = {}) => retrieve(queries, context, how),
    classify: (question, signal) => classify(question, context, signal),
    findDuplicates: (modelIds, how = {}) => findDuplicates(modelIds, context, how),
    ...createManageSpaces(context),
    ...createManageModels(context),
    ...createTransferModels(context),
  };
}

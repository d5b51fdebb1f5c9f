import type { Catalogue } from "../experts/catalogue.js";
import type { VectorStore } from "../vectors/vector-store.js";
import type { Admit, BatchGate } from "./batch-gate.js";
import type { Calibrations } from "./calibrations.js";
import type { ExpertHeads } from "./expert-heads.js";
import type { RetrievalLimits } from "./limits.js";
import type { TextImages } from "./text-images.js";

/** What the use cases of one server share. */
export interface RetrievalContext {
  readonly store: VectorStore;
  /** Of experts. */
  readonly catalogue: Catalogue;
  readonly limits: RetrievalLimits;
  readonly gate: BatchGate;
  readonly admit: Admit;
  readonly heads: ExpertHeads;
  readonly texts: TextImages;
  readonly calibrations: Calibrations;
}

import type { Matrix } from "../../compute/compute-backend.js";
import type { StatePart } from "../../projection/accumulator.js";
import type { IndexFacts } from "../../vectors/index-facts.js";
import type { ModelSums } from "../embed-messages.js";
import type { ModelHeader } from "../embed-stream.js";

/** The sums of one expert's accumulator over a whole layer. */
export interface ProjectedTarget {
  readonly spaceId: string;
  /** Kind and version of the accumulator, see `toAccumulatorId`. */
  readonly accumulator: string;
  readonly state: readonly StatePart[];
  /** Place among the model's sketches; undefined if none was made. */
  readonly sketch: number | undefined;
}

/** A model whose layer was projected by whoever has the weights. */
export interface ProjectedModel extends Pick<ModelSums, "sketches" | "weightsHash"> {
  readonly modelId: string;
  /** What was read, from the plan. */
  readonly tensors: ModelHeader["tensors"];
  /** In the plan's order. */
  readonly targets: readonly ProjectedTarget[];
  /** Whether one of the targets is to be chosen. */
  readonly isRouted: boolean;
  /** Puts the model into the catalogue. */
  readonly index?: IndexFacts | undefined;
}

/** Models that are embedded together. */
export interface ProjectionBatch {
  readonly models: readonly ProjectedModel[];
  /** Text vectors to compare representations with. */
  readonly texts?: Matrix | undefined;
}

import { dot } from "../linalg/dot.js";
import { fitLogistic } from "../linalg/fit-logistic.js";
import type { Rows } from "../linalg/rows.js";
import { lengthOf } from "../linalg/unit.js";
import { applyLinear } from "./apply-linear.js";
import type { Linear } from "./checkpoint.js";
import type { ScoreModel } from "./score-calibration-model.js";
import { fitScale } from "./score-calibration-softmax.js";

/** A model of the expert's tree, and what is known of it. */
export interface ScoredModel {
  /** As the expert gives it, r_T numbers. */
  readonly representation: Float32Array;
  /** None if nothing is known. */
  readonly labels: readonly string[];
  /** Whether the expert was trained on it: its cosines are then better than those of others, and fit nothing. */
  readonly isTrained: boolean;
}

/** Labels to tell apart, and models that have some of them. */
export interface Candidates {
  readonly labels: readonly string[];
  readonly queries: Rows;
  readonly models: readonly ScoredModel[];
}

/** Fewer models than this fit nothing. */
export const fewestModels = 10;
const mostLogits = 1_000_000;

/** The scale of a classification expert's logits; undefined if there are too few models, or logits fall where labels are. */
export function fitLogits({ labels, models }: Candidates, head: Linear): ScoreModel["anyOfMany"] {
  if (models.length < fewestModels || labels.length === 0) return undefined;
  const some = spread(models, Math.max(fewestModels, Math.floor(mostLogits / labels.length)));
  const logits = Float64Array.from(some.flatMap(({ representation }) => [...applyLinear(head, representation)]));
  const truths = Uint8Array.from(some.flatMap((model) => labels.map((label) => Number(model.labels.includes(label)))));
  const { slopes, offset } = fitLogistic({ features: [logits], truths });
  const [slope = 0] = slopes;
  return slope > 0 ? { slope, offset } : undefined;
}

/**
 * What cosines, or the head's logits, are multiplied by before softmax: from models that have one of the labels and no other;
 * undefined if they are too few.
 */
export function fitSoftmax({ labels, queries, models }: Candidates, head?: Linear): number | undefined {
  const places = new Map(labels.map((label, place) => [label, place]));
  const single = models.filter((model) => model.labels.length === 1 && places.has(model.labels[0] ?? ""));
  if (single.length < fewestModels || labels.length < 2) return undefined;
  const scores = new Float32Array(single.length * labels.length);
  for (const [row, { representation }] of single.entries()) {
    const norm = lengthOf(representation);
    const own =
      head === undefined
        ? labels.map((_, label) => dot(representation, queries.values, label * queries.width) / norm)
        : applyLinear(head, representation);
    scores.set(own, row * labels.length);
  }
  return fitScale(
    scores,
    single.map((model) => [places.get(model.labels[0] ?? "") ?? 0]),
  );
}

/** At most so many of some things, evenly spread over them. */
export function spread<T>(all: readonly T[], most: number): readonly T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, place) => all[Math.floor((place * all.length) / most)] as T);
}

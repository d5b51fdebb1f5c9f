import type { Objective } from "../../experts/checkpoint.js";
import { type Interval, meanOf, toInterval, weightedMean } from "./bootstrap.js";
import { averagePrecision } from "./rankings.js";
import { toRanks } from "./ranks.js";

/** How well scores of labels tell what models have. */
export interface Figures {
  /** Zero-shot: share of models whose best label is one of theirs (top-1). Classification: share of right answers. */
  readonly accuracy: Interval;
  /** Zero-shot, with more than five labels: share of models that have one of the best five. */
  readonly top5?: Interval;
  /** Each label ranks all models: mean of the average precisions over the labels that some model has. */
  readonly meanAveragePrecision: Interval;
}

/** Models' scores and what they have. */
export interface Scored {
  readonly objective: Objective;
  /** n × labels; for classification above 0 where a label is said to be there. */
  readonly scores: Float32Array;
  /** Labels of each model. */
  readonly truths: readonly (readonly number[])[];
}

/** Figures of one kind of scores, with confidence intervals over models. */
export function toFigures(scored: Scored): Figures {
  const { objective, truths } = scored;
  const labels = scored.scores.length / Math.max(1, truths.length);
  const precisions = toColumns(scored).map(({ scores, isPositive }) => averagePrecision(scores, isPositive));
  const meanAveragePrecision = toInterval(truths.length, meanOf(precisions), truths.length * precisions.length);
  if (objective === "classification") {
    return { accuracy: toInterval(truths.length, weightedMean(toRightShares(scored))), meanAveragePrecision };
  }
  const ranks = toRanks(scored.scores, truths);
  const within = (k: number): Interval =>
    toInterval(truths.length, weightedMean(ranks.map((rank) => Number(rank < k))));
  return { accuracy: within(1), ...(labels > 5 && { top5: within(5) }), meanAveragePrecision };
}

/** Scores of one label over all models, and which of them have it. */
export interface LabelColumn {
  readonly label: number;
  readonly scores: Float32Array;
  readonly isPositive: readonly boolean[];
}

/** The columns of labels that some model has. */
export function toColumns({ scores, truths }: Scored): LabelColumn[] {
  const labels = scores.length / Math.max(1, truths.length);
  const present = [...new Set(truths.flat())].sort((a, b) => a - b);
  return present.map((label) => ({
    label,
    scores: Float32Array.from(truths, (_, row) => scores[row * labels + label] as number),
    isPositive: truths.map((truth) => truth.includes(label)),
  }));
}

/** Of each model the share of labels that it is told rightly to have or not to have. */
function toRightShares({ scores, truths }: Scored): Float64Array {
  const labels = scores.length / Math.max(1, truths.length);
  return Float64Array.from(truths, (truth, row) => {
    let right = 0;
    for (let label = 0; label < labels; label++) {
      if ((scores[row * labels + label] as number) > 0 === truth.includes(label)) right++;
    }
    return right / labels;
  });
}

/** What to expect of answers that know nothing of the models but how common each label is. */
export function toChance(
  { objective, truths }: Pick<Scored, "objective" | "truths">,
  labels: number,
): { readonly accuracy: number; readonly top5?: number; readonly meanAveragePrecision: number } {
  const shares = Array.from(
    { length: labels },
    (_, label) => truths.filter((truth) => truth.includes(label)).length / Math.max(1, truths.length),
  );
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanAveragePrecision = mean(shares.filter((share) => share > 0));
  if (objective === "classification") {
    return { accuracy: mean(shares.map((share) => Math.max(share, 1 - share))), meanAveragePrecision };
  }
  return { accuracy: 1 / labels, ...(labels > 5 && { top5: 5 / labels }), meanAveragePrecision };
}

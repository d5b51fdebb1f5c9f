import type { ScoreCalibration } from "../src/experts/score-calibration.js";
import { dot } from "../src/linalg/dot.js";
import { averagePrecision } from "../src/training/evaluation/rankings.js";
import type { CalibratedExpert } from "./calibrated-expert.js";

/** How scores of two experts are merged into one list. */
export const mergers = ["raw cosines", "background alone", "calibrated"] as const;

/** One of {@link mergers}. */
export type Merger = (typeof mergers)[number];

/** Splits that retrieval is tried on. */
const heldOut: readonly string[] = ["test", "test_holdout"];
/** Of models whose expert has no say: below every cosine. */
const last = -9;

/**
 * Average precision of one query over the held-out models of all experts at once. Models of an expert that cannot be asked
 * the query come last, in their order.
 *
 * @returns undefined if no model is what the query means.
 */
export function toAveragePrecision(
  experts: readonly CalibratedExpert[],
  label: string,
  merger: Merger,
): number | undefined {
  const scores: number[] = [];
  const truths: boolean[] = [];
  for (const expert of experts) {
    const query = expert.toQuery(label);
    const scale = query && toScale(merger, expert, query);
    for (const { unit, labels, split } of expert.models) {
      if (!heldOut.includes(split)) continue;
      truths.push(labels.includes(label));
      scores.push(query === undefined || scale === undefined ? last : scale(dot(query, unit)));
    }
  }
  if (!truths.includes(true)) return undefined;
  return averagePrecision(scores, truths)(new Float64Array(truths.length).fill(1));
}

function toScale(merger: Merger, expert: CalibratedExpert, query: Float32Array): (cosine: number) => number {
  const by = (calibration: ScoreCalibration) => calibration.toScorer(query, "text");
  if (merger === "calibrated") return by(expert.calibration);
  return merger === "background alone" ? by(expert.unlabelled) : (cosine) => cosine;
}

import { dot } from "../linalg/dot.js";
import { fitLogistic } from "../linalg/fit-logistic.js";
import type { Rows } from "../linalg/rows.js";
import { sigmoid } from "../linalg/sigmoid.js";
import { takeEvenly } from "../linalg/take-evenly.js";
import { lengthOf } from "../linalg/unit.js";
import { applyLinear } from "./apply-linear.js";
import type { Linear } from "./checkpoint.js";
import type { BySight, ScoreModel } from "./score-calibration-model.js";
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
/** Pairs of a label and a model that are looked at. */
const mostPairs = 1_000_000;
/** Halvings of the range of an offset. */
const halvings = 60;

/** The scale of a classification expert's logits; undefined if there are too few models, or logits fall where labels are. */
export function fitLogits({ labels, models }: Candidates, head: Linear): ScoreModel["anyOfMany"] {
  if (models.length < fewestModels || labels.length === 0) return undefined;
  const some = takeEvenly(models, toMostModels(labels.length));
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
  const single = takeEvenly(pickSingle(models, places), toMostModels(labels.length));
  if (single.length < fewestModels || labels.length < 2) return undefined;
  const scores = new Float32Array(single.length * labels.length);
  for (const [row, { representation }] of single.entries()) {
    const own = head === undefined ? toCosines(queries, representation) : applyLinear(head, representation);
    scores.set(own, row * labels.length);
  }
  return fitScale(
    scores,
    single.map((model) => [places.get(model.labels[0] ?? "") ?? 0]),
  );
}

/**
 * What is added to new labels' scores beside known ones, see {@link LabelSoftmax}: from models that have one of the labels
 * and no other. Chao et al. call it calibrated stacking; theirs is chosen by a trade-off, this one by the likelihood.
 *
 * @param scales what cosines of known labels and of new ones are multiplied by.
 * @see Chao et al., An Empirical Study and Analysis of Generalized Zero-Shot Learning, ECCV 2016, https://arxiv.org/abs/1605.04253
 */
export function fitNewOffset(seen: Candidates, unseen: Candidates, scales: Required<BySight<number>>): number {
  const newLabels = new Set(unseen.labels);
  const single = [seen, unseen].flatMap(({ labels, models }) => pickSingle(models, new Set(labels)));
  const some = takeEvenly(single, toMostModels(seen.labels.length + unseen.labels.length));
  const wanted = some.filter((model) => newLabels.has(model.labels[0] ?? "")).length;
  const leads = some.map(
    ({ representation }) =>
      toLogSum(toCosines(unseen.queries, representation), scales.unseen) -
      toLogSum(toCosines(seen.queries, representation), scales.seen),
  );
  // The likelihood is greatest where the shares of new labels add up to the models that have one; they rise with the offset.
  const farthest = 2 * (scales.seen + scales.unseen + Math.log(mostPairs));
  let [low, high] = [-farthest, farthest];
  for (let step = 0; step < halvings; step++) {
    const middle = (low + high) / 2;
    const told = leads.reduce((sum, lead) => sum + sigmoid(lead + middle), 0);
    if (told < wanted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Models that have one of some labels and no other. */
function pickSingle(models: readonly ScoredModel[], labels: { has(label: string): boolean }): readonly ScoredModel[] {
  return models.filter((model) => model.labels.length === 1 && labels.has(model.labels[0] ?? ""));
}

function toMostModels(labels: number): number {
  return Math.max(fewestModels, Math.floor(mostPairs / Math.max(1, labels)));
}

/** Cosines of queries at unit length with a representation of any length. */
function toCosines({ width, values }: Rows, representation: Float32Array): Float64Array {
  const norm = lengthOf(representation);
  return Float64Array.from(
    { length: values.length / width },
    (_, row) => dot(representation, values, row * width) / norm,
  );
}

/** log Σ exp(scale · score). */
function toLogSum(scores: Float64Array, scale: number): number {
  const highest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  return scale * highest + Math.log(scores.reduce((sum, score) => sum + Math.exp(scale * (score - highest)), 0));
}

import type { Objective } from "../../experts/checkpoint.js";
import { fitScale } from "../../experts/score-calibration-softmax.js";
import type { Rows } from "../../linalg/rows.js";
import { softmax } from "../../linalg/softmax.js";
import { toBestLabels } from "../accuracy.js";
import type { Split } from "../datasets/layer-set.js";
import { isHeldOut } from "../fit-expert.js";
import { type ModelScores, openScorer } from "../score-models.js";
import type { NamedTrainData } from "../to-train-data.js";
import type { TrainShape } from "../train-shape.js";
import { type Baseline, fitBaselines } from "./baselines.js";
import type { Interval } from "./bootstrap.js";
import { type Answer, type Calibration, toCalibration } from "./calibration.js";
import { type Figures, toChance, toColumns, toFigures } from "./figures.js";
import { toNeighbourScores } from "./nearest-neighbours.js";
import { type OneClass, toOneClass } from "./one-class.js";
import { averagePrecision } from "./rankings.js";
import { toCosines } from "./similarities.js";
import { toMap } from "./to-map.js";

/** Figures of the expert or of a peer on one split. */
export interface MethodFigures extends Figures {
  readonly method: "expert" | "nearest neighbours" | Baseline["method"] | "chance";
}

/** One label of a split. */
export interface LabelFigures {
  readonly label: string;
  readonly models: number;
  /** Zero-shot: share of its models told as it. Classification: share of all models told rightly. */
  readonly accuracy: number;
  readonly averagePrecision: number;
}

/** How often models of one label were taken for another. */
export interface Confusion {
  readonly truth: string;
  readonly predicted: string;
  readonly models: number;
}

/** What an expert is worth on one split. */
export interface SplitEvaluation {
  readonly split: Split;
  readonly models: number;
  /** Labels to choose from. */
  readonly candidates: readonly string[];
  readonly methods: readonly MethodFigures[];
  readonly oneClass?: OneClass;
  readonly calibration: Calibration;
  readonly labels: readonly LabelFigures[];
  /** Zero-shot only, right answers included. */
  readonly confusions: readonly Confusion[];
}

/** A model's place on the map. */
export interface MapPoint {
  readonly x: number;
  readonly y: number;
  readonly split: Split;
  readonly label: string;
}

/** What an expert is worth. */
export interface Evaluation {
  readonly objective: Objective;
  readonly splits: readonly SplitEvaluation[];
  /** Of the splits test and test_holdout, or whichever there are. */
  readonly map: readonly MapPoint[];
}

/** Models of the gallery, spread over train, that neighbours are sought among at most: 512 MiB of cosines for 16,384. */
const mostGallery = 8192;
/** Models on the map at most. */
const mostOnMap = 1500;

const evaluated: readonly Split[] = ["val", "test", "val_holdout", "test_holdout"];

/** Options of {@link evaluateExpert}. */
export interface EvaluateOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Hears what is being done. */
  readonly onStage?: (stage: string) => void;
}

/**
 * Evaluates an expert on all splits but train: its own answers, those of the nearest neighbours of its representations,
 * one-class classification, calibration, and beside them a linear model of the weights, one of simple statistics, and
 * chance. Intervals are 95 per cent over models.
 *
 * Neighbours come from train; for labels that are held out, from the other models of the same split.
 *
 * Memory: representations and scores of all models, cosines of one split to its gallery, and what the baselines take.
 *
 * @param parameters by the authors' names.
 */
export async function evaluateExpert(
  shape: TrainShape,
  parameters: ReadonlyMap<string, Float32Array>,
  { data, labels, heldOutLabels }: NamedTrainData,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const { threads, signal, onStage } = options;
  // A classification expert answers for all labels that it knows.
  const isUnseen = (split: Split): boolean => shape.objective === "zeroshot" && isHeldOut(split);
  const indices = new Map<Split, number[]>();
  for (const [index, { split }] of data.models.entries()) indices.set(split, [...(indices.get(split) ?? []), index]);
  onStage?.("scoring models");
  const answers = await scoreSplits(shape, parameters, data, heldOutLabels.length, indices, options);
  const splits = evaluated.filter((split) => indices.has(split));
  onStage?.("fitting baselines");
  const baselines = await fitBaselines(shape, data, indices, { threads, signal });
  const truthsOf = (split: Split) => (indices.get(split) ?? []).map((index) => data.models[index]?.labels ?? []);
  const rowsOf = (split: Split): Rows => ({
    width: shape.representation,
    values: answers.get(split)?.representations ?? new Float32Array(0),
  });
  const found: SplitEvaluation[] = [];
  for (const split of splits) {
    signal?.throwIfAborted();
    onStage?.(`measuring ${split}`);
    const names = isUnseen(split) ? heldOutLabels : labels;
    const truths = truthsOf(split);
    const { scores } = answers.get(split) ?? { scores: new Float32Array(0) };
    const scored = { objective: shape.objective, scores, truths };
    const gallerySplit = isUnseen(split) ? split : "train";
    const gallery = thin(
      rowsOf(gallerySplit),
      truthsOf(gallerySplit),
      gallerySplit === split ? undefined : mostGallery,
    );
    const methods: MethodFigures[] = [{ method: "expert", ...toFigures(scored) }];
    let oneClass: OneClass | undefined;
    if (gallery.truths.length > 1) {
      const neighbourhood = {
        similarities: toCosines(rowsOf(split), gallery.rows),
        gallery: gallery.truths,
        leaveOneOut: gallerySplit === split,
      };
      const shares = toNeighbourScores(neighbourhood, names.length);
      // A label is told where most of the neighbours have it.
      const votes = shape.objective === "classification" ? shares.map((share) => share - 0.5) : shares;
      methods.push({ method: "nearest neighbours", ...toFigures({ ...scored, scores: votes }) });
      oneClass = toOneClass(neighbourhood, rowsOf(split), gallery.rows, truths);
    }
    for (const { method, scores: own } of baselines) {
      methods.push({ method, ...toFigures({ ...scored, scores: own.get(split) ?? new Float32Array(0) }) });
    }
    methods.push({ method: "chance", ...toFixedFigures(toChance(scored, names.length)) });
    const choosing = isUnseen(split) ? "val_holdout" : "val";
    const scale = toScale(
      shape.objective,
      answers.get(choosing) ?? { scores },
      indices.has(choosing) ? truthsOf(choosing) : truths,
    );
    found.push({
      split,
      models: truths.length,
      candidates: names,
      methods,
      ...(oneClass !== undefined && { oneClass }),
      calibration: toCalibration(toAnswers(scored, scale)),
      labels: toLabelFigures(scored, names),
      confusions: shape.objective === "zeroshot" ? toConfusions(scored, names) : [],
    });
  }
  onStage?.("drawing the map");
  return {
    objective: shape.objective,
    splits: found,
    map: toPoints(splits, indices, answers, data, { labels, heldOutLabels }, shape),
  };
}

type Answers = ReadonlyMap<Split, ModelScores>;

async function scoreSplits(
  shape: TrainShape,
  parameters: ReadonlyMap<string, Float32Array>,
  data: NamedTrainData["data"],
  heldOut: number,
  indices: ReadonlyMap<Split, readonly number[]>,
  { threads, signal }: EvaluateOptions,
): Promise<Answers> {
  const seen = await openScorer(shape, parameters, data.texts, threads);
  const unseen =
    heldOut > 0 ? await openScorer({ ...shape, labels: heldOut }, parameters, data.heldOutTexts, threads) : undefined;
  try {
    const answers = new Map<Split, ModelScores>();
    for (const [split, own] of indices) {
      const scorer = (isHeldOut(split) ? unseen : undefined) ?? seen;
      answers.set(split, await scorer.score(data.layers, own, signal));
    }
    return answers;
  } finally {
    await Promise.all([seen.dispose(), unseen?.dispose()]);
  }
}

/** Rows and their labels, at most so many, spread over all. */
function thin(
  { width, values }: Rows,
  truths: readonly (readonly number[])[],
  most = truths.length,
): { readonly rows: Rows; readonly truths: readonly (readonly number[])[] } {
  const stride = Math.max(1, Math.ceil(truths.length / Math.max(1, most)));
  if (stride === 1) return { rows: { width, values }, truths };
  const kept = truths.flatMap((_, index) => (index % stride === 0 ? [index] : []));
  const picked = new Float32Array(kept.length * width);
  for (const [place, index] of kept.entries()) {
    picked.set(values.subarray(index * width, (index + 1) * width), place * width);
  }
  return { rows: { width, values: picked }, truths: kept.map((index) => truths[index] ?? []) };
}

function toFixedFigures({ accuracy, top5, meanAveragePrecision }: ReturnType<typeof toChance>): Figures {
  const fixed = (value: number): Interval => ({ value, low: value, high: value });
  return {
    accuracy: fixed(accuracy),
    ...(top5 !== undefined && { top5: fixed(top5) }),
    meanAveragePrecision: fixed(meanAveragePrecision),
  };
}

function toScale(
  objective: Objective,
  { scores }: Pick<ModelScores, "scores">,
  truths: readonly (readonly number[])[],
): number {
  return objective === "zeroshot" ? fitScale(scores, truths) : 1;
}

type Scored = Parameters<typeof toFigures>[0];

/** Zero-shot: the best label of each model. Classification: each label of each model. */
function toAnswers({ objective, scores, truths }: Scored, scale: number): Answer[] {
  const labels = scores.length / Math.max(1, truths.length);
  if (objective === "classification") {
    return [...scores].map((logit, at) => ({
      confidence: 1 / (1 + Math.exp(-Math.abs(logit))),
      isRight: logit > 0 === (truths[Math.floor(at / labels)] ?? []).includes(at % labels),
    }));
  }
  const best = toBestLabels(scores, labels);
  return truths.map((truth, row) => {
    const label = best[row] as number;
    const shares = softmax(scores.subarray(row * labels, (row + 1) * labels), scale);
    return { confidence: shares[label] as number, isRight: truth.includes(label) };
  });
}

function toLabelFigures(scored: Scored, names: readonly string[]): LabelFigures[] {
  const best = toBestLabels(scored.scores, names.length);
  return toColumns(scored).map(({ label, scores, isPositive }) => {
    const positives = isPositive.flatMap((positive, row) => (positive ? [row] : []));
    const accuracy =
      scored.objective === "zeroshot"
        ? positives.filter((row) => best[row] === label).length / positives.length
        : isPositive.filter((positive, row) => positive === (scores[row] as number) > 0).length / isPositive.length;
    return {
      label: names[label] ?? "",
      models: positives.length,
      accuracy,
      averagePrecision: averagePrecision(scores, isPositive)(new Float64Array(isPositive.length).fill(1)),
    };
  });
}

function toConfusions({ scores, truths }: Scored, names: readonly string[]): Confusion[] {
  const best = toBestLabels(scores, names.length);
  const counts = new Map<string, Confusion>();
  for (const [row, [truth = 0]] of truths.entries()) {
    const predicted = best[row] as number;
    const key = `${truth} ${predicted}`;
    const models = (counts.get(key)?.models ?? 0) + 1;
    counts.set(key, { truth: names[truth] ?? "", predicted: names[predicted] ?? "", models });
  }
  return [...counts.values()].sort((a, b) => b.models - a.models);
}

function toPoints(
  splits: readonly Split[],
  indices: ReadonlyMap<Split, readonly number[]>,
  answers: Answers,
  { models }: NamedTrainData["data"],
  { labels, heldOutLabels }: Pick<NamedTrainData, "labels" | "heldOutLabels">,
  { representation: width }: TrainShape,
): MapPoint[] {
  const tests = splits.filter((split) => split === "test" || split === "test_holdout");
  const drawn = tests.length > 0 ? tests : splits;
  const all = drawn.flatMap((split) => (indices.get(split) ?? []).map((index, row) => ({ split, index, row })));
  const stride = Math.max(1, Math.ceil(all.length / mostOnMap));
  const some = all.filter((_, place) => place % stride === 0);
  const values = new Float32Array(some.length * width);
  for (const [place, { split, row }] of some.entries()) {
    const own = answers.get(split)?.representations.subarray(row * width, (row + 1) * width);
    values.set(own ?? [], place * width);
  }
  return toMap({ width, values }).map(([x, y], place) => {
    const { split, index } = some[place] as (typeof some)[number];
    const names = isHeldOut(split) && heldOutLabels.length > 0 ? heldOutLabels : labels;
    return { x, y, split, label: (models[index]?.labels ?? []).map((label) => names[label]).join(", ") };
  });
}

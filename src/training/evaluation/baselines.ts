import { toLabelAccuracy, toTopAccuracy } from "../accuracy.js";
import type { Split } from "../datasets/layer-set.js";
import { isHeldOut, type TrainData } from "../fit-expert.js";
import type { TrainShape } from "../train-shape.js";
import { toLayerGram } from "./layer-gram.js";
import { fitRidge, penalties } from "./ridge.js";
import { toCosines } from "./similarities.js";
import { toStandardGram, toWeightStatistics } from "./weight-statistics.js";

/** A peer of the expert, trained on the same models. */
export interface Baseline {
  readonly method: "linear" | "weight statistics";
  /** n × labels of each split but train. */
  readonly scores: ReadonlyMap<Split, Float32Array>;
  /** Models it was fitted on. */
  readonly models: number;
}

/** Models a baseline is fitted on at most: solving takes n³ / 3 multiplications for each penalty, 3 s for 2,000. */
const mostModels = 2000;
/** Numbers of all layers at most for the linear model, 4 GiB. */
const mostNumbers = 2 ** 30;

/**
 * Fits both baselines: ridge regression from all numbers of the layer, through their inner products, and from a few
 * statistics of them. Zero-shot predicts the text's vector and ranks labels by cosine; classification predicts each label.
 * The penalty is the best on val, or on val_holdout for labels that are held out.
 *
 * @param indices models of each split.
 */
export async function fitBaselines(
  shape: TrainShape,
  data: TrainData,
  indices: ReadonlyMap<Split, readonly number[]>,
  options: { readonly threads?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Baseline[]> {
  const all = indices.get("train") ?? [];
  if (all.length === 0) return [];
  const stride = Math.ceil(all.length / mostModels);
  const train = all.filter((_, place) => place % stride === 0);
  const others = [...indices].filter(([split]) => split !== "train");
  const { rows, columns, rank } = data.layers.layer;
  const numbers = rank === undefined ? rows * columns : rank * (rows + columns);
  const queries = others.flatMap(([, own]) => own);
  const found: Baseline[] = [];
  if (numbers * (train.length + queries.length) <= mostNumbers) {
    const gram = await toLayerGram(data.layers, train, train, options);
    const grams = new Map<Split, Float64Array>();
    for (const [split, own] of others) grams.set(split, await toLayerGram(data.layers, own, train, options));
    found.push({ method: "linear", models: train.length, scores: toScores(shape, data, indices, train, gram, grams) });
  }
  const gallery = await toWeightStatistics(data.layers, train, options.signal);
  const grams = new Map<Split, Float64Array>();
  for (const [split, own] of others) {
    grams.set(split, toStandardGram(await toWeightStatistics(data.layers, own, options.signal), gallery));
  }
  const scores = toScores(shape, data, indices, train, toStandardGram(gallery, gallery), grams);
  return [...found, { method: "weight statistics", models: train.length, scores }];
}

/** Scores of all splits, each under the penalty that its choosing split likes best. */
function toScores(
  shape: TrainShape,
  data: TrainData,
  indices: ReadonlyMap<Split, readonly number[]>,
  train: readonly number[],
  gram: Float64Array,
  grams: ReadonlyMap<Split, Float64Array>,
): Map<Split, Float32Array> {
  const { objective, textWidth = 0 } = shape;
  const { targets, width } = toTargets(shape, data, train);
  const truthsOf = (split: Split) => (indices.get(split) ?? []).map((index) => data.models[index]?.labels ?? []);
  const candidates = penalties.map((penalty) => {
    const ridge = fitRidge({ gram, targets, width }, penalty);
    return new Map(
      [...grams].map(([split, own]) => {
        const predicted = ridge.predict(own);
        if (objective === "classification") return [split, predicted] as const;
        const texts = (isHeldOut(split) ? data.heldOutTexts : data.texts) ?? new Float32Array(0);
        const cosines = toCosines({ width: textWidth, values: predicted }, { width: textWidth, values: texts });
        return [split, cosines] as const;
      }),
    );
  });
  const accuracy = objective === "zeroshot" ? toTopAccuracy : toLabelAccuracy;
  const bestOn = (split: Split): Map<Split, Float32Array> => {
    const accuracies = candidates.map((scores) => {
      const own = scores.get(split);
      return own === undefined ? 0 : accuracy(own, truthsOf(split));
    });
    return candidates[accuracies.indexOf(Math.max(...accuracies))] ?? new Map();
  };
  const [seen, heldOut] = [bestOn("val"), bestOn("val_holdout")];
  const chosenFor = (split: Split) => (objective === "zeroshot" && isHeldOut(split) ? heldOut : seen);
  return new Map([...grams.keys()].map((split) => [split, chosenFor(split).get(split) ?? new Float32Array(0)]));
}

/** What is predicted of each model: its text's vector, or 1 and −1 for the labels it has and has not. */
function toTargets(
  { objective, labels, textWidth = 0 }: TrainShape,
  { models, texts = new Float32Array(0) }: TrainData,
  train: readonly number[],
): { readonly targets: Float32Array; readonly width: number } {
  const width = objective === "zeroshot" ? textWidth : labels;
  const targets = new Float32Array(train.length * width);
  for (const [row, index] of train.entries()) {
    const own = models[index]?.labels ?? [];
    if (objective === "classification") {
      for (let label = 0; label < labels; label++) targets[row * width + label] = own.includes(label) ? 1 : -1;
    } else {
      const [label = 0] = own;
      targets.set(texts.subarray(label * width, (label + 1) * width), row * width);
    }
  }
  return { targets, width };
}

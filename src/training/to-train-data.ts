import { InvalidInputError } from "../errors/probestream-error.js";
import type { Objective } from "../experts/checkpoint.js";
import type { LayerSet } from "./datasets/layer-set.js";
import type { DatasetModel } from "./datasets/scan-dataset.js";
import { isHeldOut, type TrainData, type TrainModel } from "./fit-expert.js";

/** Vectors of texts by the label that they stand for. */
export interface LabelTexts {
  readonly labels: readonly string[];
  /** d_text wide, one per label. */
  readonly vectors: { readonly columns: number; readonly values: Float32Array };
}

/** Data for training, and what its indices mean. */
export interface NamedTrainData {
  readonly data: TrainData;
  /** Labels of train, val and test, sorted. */
  readonly labels: readonly string[];
  /** Labels of the splits that are held out, sorted; none for classification. */
  readonly heldOutLabels: readonly string[];
}

/**
 * Puts models, their layers and the texts of their labels together.
 *
 * @param models one per layer of the set.
 * @param texts for zero-shot: a vector for each label that a model has.
 * @throws InvalidInputError `FIELD_INVALID` if there are fewer than two labels to tell apart, no models to train on or to
 * choose the best by, a zero-shot model has several labels, or a label has no text.
 */
export function toTrainData(
  objective: Objective,
  layers: LayerSet,
  models: readonly DatasetModel[],
  texts: LabelTexts | undefined,
): NamedTrainData {
  const labels = toNames(models, false);
  assertEnough(models, labels);
  return place(objective, layers, models, texts, labels);
}

/**
 * The same for models that an expert is to be judged by: any splits will do.
 *
 * @param bank labels of a classification expert in the order of its answers. Others that models have are left out.
 * @throws InvalidInputError `FIELD_INVALID` as {@link toTrainData} does.
 */
export function toEvaluationData(
  objective: Objective,
  layers: LayerSet,
  models: readonly DatasetModel[],
  texts: LabelTexts | undefined,
  bank: readonly string[],
): NamedTrainData {
  return place(objective, layers, models, texts, objective === "classification" ? bank : toNames(models, false));
}

function toNames(models: readonly DatasetModel[], heldOut: boolean): string[] {
  const own = models.filter(({ split }) => isHeldOut(split) === heldOut);
  return [...new Set(own.flatMap(({ labels }) => labels))].sort();
}

function place(
  objective: Objective,
  layers: LayerSet,
  models: readonly DatasetModel[],
  texts: LabelTexts | undefined,
  labels: readonly string[],
): NamedTrainData {
  const heldOutLabels = objective === "zeroshot" ? toNames(models, true) : [];
  const toPlaces = (names: readonly string[]): Map<string, number> => new Map(names.map((name, at) => [name, at]));
  const [seenPlaces, heldOutPlaces] = [toPlaces(labels), toPlaces(heldOutLabels)];
  const placed = models.map((model): TrainModel => {
    const { path, split, labels: own } = model;
    if (objective === "zeroshot" && own.length !== 1) {
      throw new InvalidInputError(
        "FIELD_INVALID",
        `${path} has ${own.length} labels (${own.join(", ")}); a zero-shot expert takes one text per model: train a classification expert, or give no separator`,
      );
    }
    const known = objective === "zeroshot" && isHeldOut(split) ? heldOutPlaces : seenPlaces;
    return { split, labels: own.flatMap((label) => known.get(label) ?? []) };
  });
  const data: TrainData = { layers, models: placed };
  if (objective === "classification") return { data, labels, heldOutLabels };
  if (texts === undefined) {
    throw new InvalidInputError("FIELD_INVALID", "a zero-shot expert works with the vectors of its labels' texts");
  }
  const withTexts = { ...data, texts: pickTexts(texts, labels), heldOutTexts: pickTexts(texts, heldOutLabels) };
  return { data: withTexts, labels, heldOutLabels };
}

function assertEnough(models: readonly DatasetModel[], labels: readonly string[]): void {
  if (labels.length < 2) {
    const found = labels.length === 0 ? "no label" : `one label, "${labels[0]}"`;
    throw new InvalidInputError(
      "FIELD_INVALID",
      `the models of train, val and test have ${found}; there must be two at least to tell apart`,
    );
  }
  for (const split of ["train", "val"] as const) {
    if (!models.some((model) => model.split === split)) {
      throw new InvalidInputError(
        "FIELD_INVALID",
        `none of the ${models.length} models is for ${split}: each split needs some; let splits be made, or give more models`,
      );
    }
  }
}

function pickTexts({ labels, vectors }: LabelTexts, wanted: readonly string[]): Float32Array {
  const rows = new Map(labels.map((label, row) => [label, row]));
  const missing = wanted.filter((label) => !rows.has(label));
  if (missing.length > 0) {
    const examples = missing.slice(0, 3).map((label) => JSON.stringify(label));
    throw new InvalidInputError(
      "FIELD_INVALID",
      `the texts have no vector for ${missing.length} of ${wanted.length} labels: ${examples.join(", ")}`,
    );
  }
  const picked = new Float32Array(wanted.length * vectors.columns);
  for (const [place, label] of wanted.entries()) {
    const begin = (rows.get(label) ?? 0) * vectors.columns;
    picked.set(vectors.values.subarray(begin, begin + vectors.columns), place * vectors.columns);
  }
  return picked;
}

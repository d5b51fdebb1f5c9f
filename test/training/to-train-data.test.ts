import test from "ava";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { createMemoryLayerSet, type Split } from "../../src/training/datasets/layer-set.js";
import type { DatasetModel } from "../../src/training/datasets/scan-dataset.js";
import { toTrainData } from "../../src/training/to-train-data.js";

function createModels(entries: readonly (readonly [Split, ...string[]])[]): DatasetModel[] {
  return entries.map(([split, ...labels], index) => ({ path: `${index}`, location: `${index}`, labels, split }));
}

const layersFor = (models: readonly DatasetModel[]) =>
  createMemoryLayerSet(models.length, { rows: 1, columns: 1 }, new Map([["X", new Float32Array(models.length)]]));

const texts = {
  labels: ["cat", "dog", "owl"],
  vectors: { columns: 2, values: Float32Array.of(1, 2, 3, 4, 5, 6) },
};

test("labels that are held out have indices and texts of their own", (t) => {
  const models = createModels([
    ["train", "dog"],
    ["val", "cat"],
    ["train", "cat"],
    ["test_holdout", "owl"],
  ]);
  const { data, labels, heldOutLabels } = toTrainData("zeroshot", layersFor(models), models, texts);
  t.deepEqual([labels, heldOutLabels], [["cat", "dog"], ["owl"]]);
  t.deepEqual(
    data.models.map((model) => model.labels),
    [[1], [0], [0], [0]],
  );
  t.deepEqual(data.texts, Float32Array.of(1, 2, 3, 4));
  t.deepEqual(data.heldOutTexts, Float32Array.of(5, 6));
});

test("what is too little, or does not fit, is refused with what to do", (t) => {
  const refused = (
    objective: "zeroshot" | "classification",
    entries: readonly (readonly [Split, ...string[]])[],
    message: RegExp,
  ): void => {
    const models = createModels(entries);
    t.throws(() => toTrainData(objective, layersFor(models), models, texts), {
      instanceOf: InvalidInputError,
      message,
    });
  };
  refused(
    "zeroshot",
    [
      ["train", "cat"],
      ["val", "cat"],
    ],
    /one label, "cat"/,
  );
  refused("classification", [["val_holdout", "cat"]], /no label/);
  refused(
    "zeroshot",
    [
      ["train", "cat"],
      ["train", "dog"],
    ],
    /none of the 2 models is for val/,
  );
  refused(
    "zeroshot",
    [
      ["val", "cat"],
      ["test", "dog"],
    ],
    /is for train/,
  );
  refused(
    "zeroshot",
    [
      ["train", "cat", "dog"],
      ["val", "cat"],
    ],
    /0 has 2 labels \(cat, dog\)/,
  );
  refused(
    "zeroshot",
    [
      ["train", "cat"],
      ["val", "elk 🦌"],
    ],
    /no vector for 1 of 2 labels: "elk 🦌"/,
  );
});

test("a classification expert takes several labels, and knows none of those held out", (t) => {
  const models = createModels([
    ["train", "cat", "dog"],
    ["val", "dog"],
    ["test_holdout", "owl"],
  ]);
  const { data, labels, heldOutLabels } = toTrainData("classification", layersFor(models), models, undefined);
  t.deepEqual([labels, heldOutLabels], [["cat", "dog"], []]);
  t.deepEqual(
    data.models.map((model) => model.labels),
    [[0, 1], [1], []],
  );
});

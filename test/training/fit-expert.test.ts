import test from "ava";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { loadExpert } from "../../src/experts/expert.js";
import { fitExpert } from "../../src/training/fit-expert.js";
import { defaultTrainSettings } from "../../src/training/train-settings.js";
import { toParameterShapes } from "../../src/training/train-shape.js";
import { writeExpert } from "../../src/training/write-expert.js";
import { createConceptModels } from "../helpers/concept-models.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const settings = { ...defaultTrainSettings.zeroshot, epochs: 25, batchSize: 32, evaluateEvery: 5, seed: 3 };

test("a zero-shot expert learns concepts, and tells some that it has not seen", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const { best, reports } = await fitExpert(shape, data, { settings, alsoEvaluate: ["test", "test_holdout"] });
  t.deepEqual(
    reports.filter(({ accuracies }) => accuracies.val !== undefined).map(({ epoch }) => epoch),
    [0, 5, 10, 15, 20, 24],
  );
  const last = reports.at(-1);
  t.true((last?.loss ?? 9) < (reports[0]?.loss ?? 0));
  t.true((last?.accuracies.test ?? 0) > 0.9, `test ${last?.accuracies.test}`);
  t.deepEqual([...best.keys()], ["val", "val_holdout"]);
  for (const [split, { epoch, accuracy }] of best) {
    t.is(accuracy, reports[epoch]?.accuracies[split] ?? Number.NaN);
    t.is(accuracy, Math.max(...reports.map(({ accuracies }) => accuracies[split] ?? 0)));
  }
});

test("a classification expert learns concepts", async (t) => {
  const { shape, data } = createConceptModels("classification");
  const { best, reports } = await fitExpert(shape, data, {
    settings: { ...settings, ...defaultTrainSettings.classification, epochs: 60, batchSize: 16 },
    alsoEvaluate: ["test"],
  });
  // Saying no to all eight labels is right in 7 of 8 cases.
  t.true((reports.at(-1)?.accuracies.test ?? 0) > 0.95, `test ${reports.at(-1)?.accuracies.test}`);
  t.deepEqual([...best.keys()], ["val"]);
});

test("the same seed gives the same parameters, another one others", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const train = async (seed: number) => {
    const { best } = await fitExpert(shape, data, { settings: { ...settings, epochs: 3, seed } });
    return best.get("val")?.parameters;
  };
  const [one, again, other] = [await train(1), await train(1), await train(2)];
  t.deepEqual(again, one);
  t.notDeepEqual(other, one);
});

test("training ends where its signal says so", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const controller = new AbortController();
  const reason = new Error("enough");
  const training = fitExpert(shape, data, {
    settings,
    signal: controller.signal,
    onEpoch: ({ epoch }) => epoch === 1 && controller.abort(reason),
  });
  t.is(await t.throwsAsync(training), reason);
});

test("what cannot be trained on is refused", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const refused = (models: typeof data.models, message: RegExp) =>
    t.throwsAsync(fitExpert(shape, { ...data, models }, { settings }), { instanceOf: InvalidInputError, message });
  const [first, ...rest] = data.models;
  await refused(rest, /219 models and 220 layers/);
  await refused([{ split: "val", labels: [8] }, ...rest], /model 0 of val has the labels 8; 8 are known/);
  await refused([{ split: first?.split ?? "val", labels: [] }, ...rest], /\(none\)/);
  await refused(
    data.models.map((model) => (model.split === "train" ? { ...model, split: "test" } : model)),
    /no model is for training/,
  );
});

test("an expert folder is written whole and reads back as it was", async (t) => {
  const { shape, data } = createConceptModels("zeroshot");
  const { best } = await fitExpert(shape, data, { settings: { ...settings, epochs: 1 } });
  const parameters = best.get("val")?.parameters ?? new Map();
  const content = {
    manifest: {
      objective: "zeroshot",
      layer: { module: "to_out", kind: "lora", layout: "linear", loraScale: "apply", shape: { rows: 12, columns: 10 } },
      labels: ["a", "b"],
      text: { encoder: "0".repeat(64), prompt: "{}" },
      extra: { provenance: { seed: 3 } },
    },
    shapes: toParameterShapes(shape),
    parameters,
  } as const;
  const folder = await createTemporaryFolder(t);
  await writeExpert(`${folder}/experts/mine`, content);
  const { expert, checkpoint } = await loadExpert(`${folder}/experts/mine`);
  t.deepEqual(expert.layer, content.manifest.layer);
  t.deepEqual(expert.labels, content.manifest.labels);
  t.deepEqual(checkpoint.u.values, parameters.get("probes.weight"));
  t.deepEqual(checkpoint.encoder.bias, parameters.get("per_probe_encoders.bias"));
  await t.throwsAsync(writeExpert(`${folder}/experts/mine`, content), { message: /exists already/ });
  await t.throwsAsync(writeExpert(`${folder}/experts/other`, { ...content, parameters: new Map() }), {
    message: /no parameter probes.weight/,
  });
});

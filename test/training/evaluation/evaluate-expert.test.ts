import test from "ava";
import { evaluateExpert } from "../../../src/training/evaluation/evaluate-expert.js";
import { fitExpert } from "../../../src/training/fit-expert.js";
import { toHtml } from "../../../src/training/report/to-html.js";
import { defaultTrainSettings } from "../../../src/training/train-settings.js";
import { createConceptModels } from "../../helpers/concept-models.js";

async function evaluate(objective: "zeroshot" | "classification") {
  const { shape, data } = createConceptModels(objective);
  const settings = { ...defaultTrainSettings[objective], learningRate: 2e-3, epochs: 40, batchSize: 32 };
  const { best, reports } = await fitExpert(shape, data, { settings, alsoEvaluate: ["test", "test_holdout"] });
  const chosen = best.get("val");
  const parameters = chosen?.parameters ?? new Map<string, Float32Array>();
  const labels = Array.from({ length: 8 }, (_, index) => `label ${index}`);
  const heldOutLabels = objective === "zeroshot" ? ["unseen <0>", "unseen 1", "unseen 2"] : [];
  const evaluation = await evaluateExpert(shape, parameters, { data, labels, heldOutLabels });
  return { evaluation, accuracies: reports[chosen?.epoch ?? 0]?.accuracies ?? {}, reports };
}

test("a zero-shot expert is measured on every split, beside its peers", async (t) => {
  const { evaluation, accuracies, reports } = await evaluate("zeroshot");
  t.deepEqual(
    evaluation.splits.map(({ split, models, candidates }) => [split, models, candidates.length]),
    [
      ["val", 40, 8],
      ["test", 40, 8],
      ["val_holdout", 30, 3],
      ["test_holdout", 30, 3],
    ],
  );
  for (const { split, methods, oneClass, confusions, labels, models, calibration } of evaluation.splits) {
    t.deepEqual(
      methods.map(({ method }) => method),
      ["expert", "nearest neighbours", "linear", "weight statistics", "chance"],
    );
    const [expert] = methods;
    t.is(expert?.accuracy.value, accuracies[split]);
    t.true((expert?.accuracy.value ?? 0) > 2 * (methods.at(-1)?.accuracy.value ?? 1), split);
    t.true(
      (oneClass?.neighbours.value ?? 0) > 0.8 && (oneClass?.ledoitWolf.value ?? 0) > 0.8,
      `${split}: ${JSON.stringify(oneClass)}`,
    );
    t.is(
      confusions.reduce((sum, confusion) => sum + confusion.models, 0),
      models,
    );
    t.is(
      labels.reduce((sum, label) => sum + label.models, 0),
      models,
    );
    t.true(calibration.error >= 0 && calibration.error <= 1);
  }
  t.is(evaluation.map.length, 70);
  const page = toHtml({ title: "<b>mine</b>", facts: [["a & b", "c"]], evaluation, epochs: reports });
  t.true(page.includes("<h1>&#60;b&#62;mine&#60;/b&#62;</h1>") && page.includes("a &#38; b"));
  t.true(page.includes("unseen &#60;0&#62;") && !page.includes("unseen <0>"));
  // Nothing is loaded from elsewhere, and nothing is run.
  t.notRegex(page, /https?:|<script|<link|@import|undefined|NaN/);
  t.is([...page.matchAll(/<svg/g)].length, [...page.matchAll(/<\/svg>/g)].length);
});

test("a classification expert is measured by its answers for every label", async (t) => {
  const { evaluation, accuracies } = await evaluate("classification");
  const test = evaluation.splits.find(({ split }) => split === "test");
  t.is(test?.methods[0]?.accuracy.value, accuracies.test);
  t.is(test?.methods.at(-1)?.accuracy.value, 7 / 8);
  t.deepEqual(test?.confusions, []);
  t.true((test?.methods[0]?.meanAveragePrecision.value ?? 0) > 0.9);
  t.notRegex(toHtml({ title: "", facts: [], evaluation, epochs: [] }), /undefined|NaN/);
});

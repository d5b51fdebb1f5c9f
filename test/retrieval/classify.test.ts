import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { createScoreCalibration } from "../../src/experts/create-score-calibration.js";
import { describeExpert } from "../../src/experts/expert.js";
import { readScoreModel, writeScoreModel } from "../../src/experts/score-calibration-file.js";
import type { ScoreModel } from "../../src/experts/score-calibration-model.js";
import { toUnit } from "../../src/linalg/unit.js";
import type { LabelScores } from "../../src/retrieval/retrieval-port.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { writeExpert } from "../helpers/expert-folder.js";
import { exactCosine, exactLinear } from "../helpers/oracle.js";
import { randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import {
  classes,
  fillSpace,
  openZooRetrieval,
  type RetrievalZoo,
  toNewRecord,
  width,
} from "../helpers/retrieval-zoo.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const test = createZooTest();

function scoresOf(outcome: LabelScores | ProbestreamError | undefined): LabelScores {
  if (outcome === undefined || outcome instanceof ProbestreamError) throw outcome ?? new Error("no outcome");
  return outcome;
}

test("a zero-shot expert tells labels by cosine, with calibrated probabilities in either mode", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const record = toNewRecord("m", 8);
  await fillSpace(store, zoo.experts.one, [record]);
  const labels = ["dogs", "red cats", "houses"];
  const { head } = zoo.parameters.one;
  const { values } = await zoo.encoder.encode(labels.map((label) => `a model of ${label}`));
  const images = labels.map((_, row) => exactLinear(head.weight, head.bias, values.subarray(row * 5, row * 5 + 5)));
  const cosines = images.map((image) => exactCosine(image, record.vector));
  const model = await readScoreModel(zoo.experts.one, zoo.experts.one.extra);
  if (model === undefined) throw t.fail("the expert is not calibrated");
  const calibration = createScoreCalibration(model);
  const units = images.map((image) => Float32Array.from(image, (x) => x / Math.hypot(...image)));
  const expected = {
    "one-of-many": (await calibration.toLabelJudge("one-of-many", units))(Float32Array.from(cosines)),
    "any-of-many": (await calibration.toLabelJudge("any-of-many", units))(Float32Array.from(cosines)),
  };
  for (const mode of ["one-of-many", "any-of-many", undefined] as const) {
    const [outcome] = await retrieval.classify({ models: [{ modelId: "m" }], labels, mode });
    const scores = scoresOf(outcome);
    t.is(scores.spaceId, zoo.experts.one.spaceId);
    const wanted = expected[mode ?? "one-of-many"];
    for (const { label, cosine = 0, probability = 0 } of scores.labels) {
      const index = labels.indexOf(label);
      t.true(Math.abs(cosine - (cosines[index] ?? 2)) < 1e-6);
      t.true(Math.abs(probability - (wanted[index] ?? 2)) < 1e-5);
    }
    const probabilities = scores.labels.map(({ probability = -1 }) => probability);
    t.deepEqual(
      probabilities,
      probabilities.toSorted((a, b) => b - a),
    );
  }
});

test("a classification expert tells its own labels by its logits", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const record = toNewRecord("m", 8);
  await fillSpace(store, zoo.experts.classes, [record]);
  const { head } = zoo.parameters.classes;
  const logits = exactLinear(head.weight, head.bias, record.vector);
  const [any, one, some, other] = [
    ...(await retrieval.classify({ models: [{ modelId: "m" }] })),
    ...(await retrieval.classify({ models: [{ modelId: "m" }], mode: "one-of-many" })),
    ...(await retrieval.classify({ models: [{ modelId: "m" }], labels: ["stars", "sun"], top: 1 })),
    ...(await retrieval.classify({ models: [{ modelId: "m" }], labels: ["stars", "comets"] })),
  ];
  const order = [...classes.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0)).map((i) => classes[i]);
  t.deepEqual(
    scoresOf(any).labels.map(({ label }) => label),
    order,
  );
  for (const { label, probability = 0, cosine } of scoresOf(any).labels) {
    const logit = logits[classes.indexOf(label as (typeof classes)[number])] ?? 0;
    t.true(Math.abs(probability - 1 / (1 + Math.exp(-(0.7 * logit - 0.1)))) < 1e-5);
    t.is(cosine, undefined);
  }
  const sum = scoresOf(one).labels.reduce((total, { probability = 0 }) => total + probability, 0);
  t.true(Math.abs(sum - 1) < 1e-6);
  t.is(scoresOf(some).labels.length, 1);
  assertError(t, other, { reason: "FIELD_INVALID", message: /"comets"/ });
});

test("without a calibration labels are ranked by cosine and have no probability", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  await fillSpace(store, zoo.experts.plain, [toNewRecord("m", 8)]);
  const [bank] = await retrieval.classify({ models: [{ modelId: "m" }] });
  const { labels, isCalibrated } = scoresOf(bank);
  t.false(isCalibrated);
  t.deepEqual(labels.map(({ label }) => label).sort(), ["blue", "green", "red"]);
  t.true(labels.every(({ probability }) => probability === undefined));
  const cosines = labels.map(({ cosine = -2 }) => cosine);
  t.deepEqual(
    cosines,
    cosines.toSorted((a, b) => b - a),
  );
});

test("models that cannot be judged say why, and the others are", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  await fillSpace(store, one, [toNewRecord("m", 8), toNewRecord("both", 9)]);
  await fillSpace(store, two, [toNewRecord("both", 9)]);
  const outcomes = await retrieval.classify({
    models: [
      { modelId: "m" },
      { modelId: "both" },
      { modelId: "nobody" },
      { representation: randomValues(width - 1, 1), spaceId: one.spaceId },
      { representation: randomValues(width, 1), spaceId: two.spaceId },
    ],
  });
  const reasons = outcomes.map((outcome) => (outcome instanceof ProbestreamError ? outcome.reason : outcome.spaceId));
  t.deepEqual(reasons, [one.spaceId, "EXPERT_AMBIGUOUS", "MODEL_NOT_FOUND", "SHAPE_MISMATCH", two.spaceId]);
  const [strange] = await retrieval.classify({ models: [{ modelId: "m" }], labels: ["unicorns", "xyzzy"] });
  assertError(t, strange, { reason: "TEXT_NOT_JUDGED", message: /no word of "unicorns", "xyzzy"; say/ });
});

test("labels that cannot be judged are left out and named, and the others are judged as without them", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  await fillSpace(store, zoo.experts.one, [toNewRecord("m", 8)]);
  const models = [{ modelId: "m" }];
  const labels = ["dogs", "red cats", "houses"];
  const [plain] = await retrieval.classify({ models, labels });
  const [mixed] = await retrieval.classify({ models, labels: ["xyzzy", ...labels, "unicorns"] });
  t.deepEqual(scoresOf(mixed).labels, scoresOf(plain).labels);
  t.deepEqual(scoresOf(plain).unjudged, []);
  const { unjudged } = scoresOf(mixed);
  t.deepEqual(
    unjudged.map(({ label }) => label),
    ["xyzzy", "unicorns"],
  );
  assertError(t, unjudged[1]?.error, { reason: "TEXT_NOT_JUDGED", message: /knows no word of "unicorns"/ });
});

/** Classifies by an expert like `one` whose calibration differs. */
async function classifyBy(
  t: ExecutionContext<{ zoo: RetrievalZoo }>,
  changes: Partial<ScoreModel>,
  labels: readonly string[],
): Promise<LabelScores | ProbestreamError | undefined> {
  const { experts, parameters, encoder } = t.context.zoo;
  const root = await createTemporaryFolder(t);
  const model = await readScoreModel(experts.one, experts.one.extra);
  if (model === undefined) throw t.fail("the expert is not calibrated");
  const text = { encoder: encoder.identity, prompt: "a model of {}" };
  const folder = await writeExpert(join(root, "own"), parameters.one, { module: "m.one" }, { text, labels: ["red"] });
  const { spaceId } = await describeExpert(folder);
  await writeScoreModel(folder, spaceId, { ...model, ...changes });
  const { store, retrieval } = openZooRetrieval({ ...t.context.zoo, catalogue: openCatalogue(root) });
  await fillSpace(store, await describeExpert(folder), [toNewRecord("m", 8)]);
  const [outcome] = await retrieval.classify({ models: [{ modelId: "m" }], labels });
  const [found] = await retrieval.retrieve([{ positives: [{ text: "dogs" }] }]);
  // One rule for both.
  const isLeftOut =
    outcome instanceof ProbestreamError || outcome?.unjudged.some(({ label }) => label === "dogs") === true;
  t.is(found instanceof ProbestreamError, isLeftOut);
  return outcome;
}

test("labels beyond the expert's radius are left out as a search refuses them, its own labels never", async (t) => {
  const scores = scoresOf(await classifyBy(t, { radius: 1e-6 }, ["dogs", "red", "xyzzy"]));
  t.deepEqual(
    scores.labels.map(({ label }) => label),
    ["red"],
  );
  t.deepEqual(
    scores.unjudged.map(({ label }) => label),
    ["dogs", "xyzzy"],
  );
  assertError(t, scores.unjudged[0]?.error, { reason: "TEXT_NOT_JUDGED", message: /"dogs" is unlike everything/ });
  assertError(t, await classifyBy(t, { radius: 1e-6 }, ["dogs", "houses", "xyzzy"]), {
    reason: "TEXT_NOT_JUDGED",
    message: /no word of "xyzzy"; unlike everything that it was trained on: "dogs", "houses"; say/,
  });
});

test("labels far from those the expert was trained on are judged, and not calibrated", async (t) => {
  const { zoo } = t.context;
  const own = ["red", "dogs", "cats"];
  const { values } = await zoo.encoder.encode(own.map((label) => `a model of ${label}`));
  const { weight, bias } = zoo.parameters.one.head;
  const images = own.map((_, row) =>
    toUnit(Float32Array.from(exactLinear(weight, bias, values.subarray(row * 5, row * 5 + 5)))),
  );
  const [red = new Float32Array(0)] = images;
  const near = (images[1] ?? red).map((x, i) => 0.01 * x + (red[i] ?? 0));
  const queries = { width, values: Float32Array.from([...red, ...toUnit(near)]) };
  const calibration = { labels: ["red", "nearly red"], queries };
  const known = scoresOf(await classifyBy(t, calibration, ["red"]));
  t.true(known.isCalibrated);
  t.deepEqual(known.doubtful, []);
  const mixed = scoresOf(await classifyBy(t, calibration, ["red", "cats"]));
  t.false(mixed.isCalibrated);
  t.deepEqual(mixed.doubtful, [{ label: "cats", unknownWords: [], isUnfamiliar: true }]);
  const partly = scoresOf(await classifyBy(t, calibration, ["purple red"]));
  t.deepEqual(partly.doubtful, [{ label: "purple red", unknownWords: ["purple"], isUnfamiliar: false }]);
});

test("labels that are wrong refuse the call", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo, { limits: { maxLabels: 3 } });
  await fillSpace(store, zoo.experts.one, [toNewRecord("m", 8)]);
  const models = [{ modelId: "m" }];
  const cases = [
    [{ models: [] }, "FIELD_INVALID"],
    [{ models, labels: ["a", "a"] }, "DUPLICATE"],
    [{ models, labels: ["a", ""] }, "FIELD_INVALID"],
    [{ models, labels: ["a", "b", "c", "d"] }, "LIMIT_EXCEEDED"],
    [{ models, top: -1 }, "FIELD_INVALID"],
    [{ models, experts: ["nobody"] }, "EXPERT_NOT_FOUND"],
  ] as const;
  for (const [question, reason] of cases) {
    await assertRefused(t, () => retrieval.classify(question), { reason, message: /./ });
  }
});

import test from "ava";
import type { Checkpoint } from "../../src/experts/checkpoint.js";
import { createScoreCalibration } from "../../src/experts/create-score-calibration.js";
import type { ScoredModel } from "../../src/experts/fit-label-scores.js";
import { fitScoreCalibration } from "../../src/experts/fit-score-calibration.js";
import { toLabelQueries } from "../../src/experts/label-queries.js";
import { Random } from "../../src/linalg/random.js";
import { rowOf } from "../../src/linalg/rows.js";
import { toUnit } from "../../src/linalg/unit.js";
import { type Answer, toCalibration } from "../../src/training/evaluation/calibration.js";
import { createUnitRows } from "../helpers/score-model.js";

const width = 24;
const names = Array.from({ length: 40 }, (_, label) => `label ${label}`);
const [bank, newNames] = [names.slice(0, 30), names.slice(30)];
const vectors = createUnitRows(names.length, width, 5);
const texts = { labels: names, vectors: { columns: width, values: vectors.values } };
const matrix = new Random(6).spread(width * width, 1 / Math.sqrt(width));
const head = { weight: { rows: width, columns: width, values: matrix }, bias: new Float32Array(width) };
const zeroshot: Pick<Checkpoint, "objective" | "head"> = { objective: "zeroshot", head };
const queries = toLabelQueries(zeroshot, vectors);

/** Models near their label's image: those of labels that are held out less so. */
function createModels(seed: number, each: number): ScoredModel[] {
  const random = new Random(seed);
  return names.flatMap((label, row) =>
    Array.from({ length: each }, (): ScoredModel => {
      const noise = random.spread(width, row < bank.length ? 0.2 : 0.45);
      const representation = rowOf(queries, row).map((value, at) => 3 * (value + (noise[at] as number)));
      return { representation, labels: [label], isTrained: false };
    }),
  );
}

const model = fitScoreCalibration(zeroshot, { models: createModels(1, 8), bank, texts });
const calibration = createScoreCalibration(model);
const tests = createModels(2, 30);
const unitOf = ({ representation }: ScoredModel): Float32Array => toUnit(representation);
const dot = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] as number), 0);

test("everything is fitted on models with labels, known and new", (t) => {
  t.deepEqual(calibration.fitted, { text: true, example: true, labels: true });
  t.is(model.background.values.length, 256 * width);
  t.deepEqual(model.labels, bank);
  t.true((model.oneOfMany.seen ?? 0) > (model.oneOfMany.unseen ?? 0));
  t.is(model.novelty, 0.05);
});

for (const [kind, labels] of [
  ["known", bank],
  ["new", newNames],
] as const) {
  test(`probabilities of ${kind} labels are right as often as they say`, async (t) => {
    const places = labels.map((label) => names.indexOf(label));
    const [best, each]: [Answer[], Answer[]] = [[], []];
    const candidates = places.map((place) => rowOf(queries, place));
    const judge = await calibration.toLabelJudge("one-of-many", candidates);
    const scorers = candidates.map((query) => calibration.toScorer(query, "text"));
    for (const one of tests) {
      const [unit, [own = ""]] = [unitOf(one), one.labels];
      const cosines = Float32Array.from(candidates, (query) => dot(query, unit));
      for (const [place, scorer] of scorers.entries()) {
        each.push({ confidence: scorer(cosines[place] ?? 0), isRight: own === labels[place] });
      }
      if (!labels.includes(own)) continue;
      const shares = judge(cosines);
      const at = shares.indexOf(Math.max(...shares));
      best.push({ confidence: shares[at] ?? 0, isRight: own === labels[at] });
    }
    // 300 answers of one in ten labels, from a scale that 80 models gave, cannot be told to be nearer.
    t.true(toCalibration(best).error < 0.08, String(toCalibration(best).error));
    t.true(toCalibration(each).error < 0.02, String(toCalibration(each).error));
  });
}

test("probabilities of known labels beside new ones are right as often as they say", async (t) => {
  // An expert that prefers what it was trained on: models of new labels lie nearer to some known one.
  const lean = (models: readonly ScoredModel[]): ScoredModel[] =>
    models.map((one, at) => {
      if (bank.includes(one.labels[0] ?? "")) return one;
      const towards = rowOf(queries, at % bank.length);
      return { ...one, representation: one.representation.map((value, i) => value + 3 * (towards[i] as number)) };
    });
  const fitted = fitScoreCalibration(zeroshot, { models: lean(createModels(1, 8)), bank, texts });
  const all = names.map((_, place) => rowOf(queries, place));
  const judge = await createScoreCalibration(fitted).toLabelJudge("one-of-many", all);
  const { offset: _, ...scales } = fitted.oneOfMany;
  const blind = await createScoreCalibration({ ...fitted, oneOfMany: scales }).toLabelJudge("one-of-many", all);
  const answer = (how: typeof judge): Answer[] =>
    lean(tests).map((one) => {
      const unit = unitOf(one);
      const shares = how(Float32Array.from(all, (query) => dot(query, unit)));
      const at = shares.indexOf(Math.max(...shares));
      return { confidence: shares[at] ?? 0, isRight: one.labels[0] === names[at] };
    });
  const [told, before] = [answer(judge), answer(blind)];
  const right = (answers: readonly Answer[]): number => answers.filter(({ isRight }) => isRight).length;
  t.true(toCalibration(told).error < 0.05, String(toCalibration(told).error));
  t.true(toCalibration(before).error > 2 * toCalibration(told).error, String(toCalibration(before).error));
  t.true(right(told) > right(before));
});

test("models that were trained on are background at most", (t) => {
  const trained = createModels(3, 2).map((one) => ({ ...one, isTrained: true }));
  const { text, example, oneOfMany, background } = fitScoreCalibration(zeroshot, { models: trained, bank, texts });
  t.deepEqual([text, example, oneOfMany], [{}, undefined, {}]);
  t.is(background.values.length, trained.length * width);
});

test("without texts models as queries are calibrated alone, and no text is judged", (t) => {
  const bare = fitScoreCalibration(zeroshot, { models: createModels(1, 8), bank });
  t.deepEqual(createScoreCalibration(bare).fitted, { text: false, example: true, labels: false });
  const { distance, radius } = createScoreCalibration(bare).judgeText(rowOf(vectors, 0));
  t.true(distance > radius);
});

test("texts of new labels are within the radius, and what has nothing to do with them is not", (t) => {
  // Labels around three topics, and texts about another.
  const random = new Random(8);
  const near = (topic: number, spread: number): Float32Array => {
    const noise = random.spread(width, spread);
    return Float32Array.from({ length: width }, (_, at) => (at === topic ? 1 : 0) + (noise[at] as number));
  };
  const values = new Float32Array(60 * width);
  for (let row = 0; row < 60; row++) values.set(near(row % 3, 0.08), row * width);
  const labels = Array.from({ length: 60 }, (_, row) => `${row}`);
  const models = createModels(1, 1).map((one, row) => ({ ...one, labels: [`${row}`] }));
  const judge = createScoreCalibration(
    fitScoreCalibration(zeroshot, { models, bank: labels, texts: { labels, vectors: { columns: width, values } } }),
  );
  const isJudged = (text: Float32Array): boolean => {
    const { distance, radius } = judge.judgeText(text);
    return distance <= radius;
  };
  const within = Array.from({ length: 40 }, (_, row) => isJudged(near(row % 3, 0.08))).filter((own) => own).length;
  t.true(within >= 36, String(within));
  t.false(isJudged(near(7, 0.08)));
  t.false(isJudged(new Float32Array(width)));
});

test("a classification expert's overconfident logits are toned down, and its labels can be searched", (t) => {
  const random = new Random(9);
  const rows = 5;
  const weight = { rows, columns: width, values: random.spread(rows * width, 1) };
  const classifier: Pick<Checkpoint, "objective" | "head"> = {
    objective: "classification",
    head: { weight, bias: new Float32Array(rows) },
  };
  const labels = ["a", "b", "c", "d", "e"];
  const make = (count: number): ScoredModel[] =>
    Array.from({ length: count }, () => {
      const representation = random.spread(width, 1);
      const own = labels.filter((_, row) => {
        const logit = dot(representation, weight.values.subarray(row * width, (row + 1) * width));
        return random.next() < 1 / (1 + Math.exp(-0.3 * logit));
      });
      return { representation, labels: own.length === 0 ? ["a"] : own, isTrained: false };
    });
  const fitted = fitScoreCalibration(classifier, { models: make(2000), bank: labels });
  t.true(Math.abs((fitted.anyOfMany?.slope ?? 0) - 0.3) < 0.06, JSON.stringify(fitted.anyOfMany));
  const scores = createScoreCalibration(fitted);
  t.deepEqual(scores.fitted, { text: true, example: true, labels: true });
  const query = scores.labelQuery("b") ?? new Float32Array(width);
  t.true(Math.abs(dot(query, query) - 1) < 1e-5);
  t.deepEqual(scores.judgeText(new Float32Array(0)), { distance: 2, radius: 0 });
});

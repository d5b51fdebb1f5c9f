import test from "ava";
import fc from "fast-check";
import { fitScale } from "../../../src/experts/score-calibration-softmax.js";
import { softmax } from "../../../src/linalg/softmax.js";
import { toInterval, weightedMean } from "../../../src/training/evaluation/bootstrap.js";
import { toCalibration } from "../../../src/training/evaluation/calibration.js";
import { toChance, toFigures } from "../../../src/training/evaluation/figures.js";
import { toLabelNearness, toNeighbourScores } from "../../../src/training/evaluation/nearest-neighbours.js";
import { areaUnderCurve, averagePrecision } from "../../../src/training/evaluation/rankings.js";
import { toRanks } from "../../../src/training/evaluation/ranks.js";
import { toCosines } from "../../../src/training/evaluation/similarities.js";

const once = (count: number): Float64Array => new Float64Array(count).fill(1);

test("a rank counts the labels that score higher than the best of a model's own", (t) => {
  const scores = Float32Array.of(0.1, 0.9, 0.5, /**/ 0.5, 0.5, 0.5, /**/ 0.3, 0.2, 0.1);
  t.deepEqual([...toRanks(scores, [[2], [1], [1, 2]])], [1, 1, 1]);
  t.deepEqual([...toRanks(scores, [[1], [0], [0]])], [0, 0, 0]);
});

// Expected figures: average_precision_score and roc_auc_score of scikit-learn 1.2.
test("average precision and AUC are those of scikit-learn", (t) => {
  const scores = [0.9, 0.8, 0.7, 0.6, 0.55, 0.3];
  const isPositive = [true, false, true, true, false, false];
  t.is(averagePrecision(scores, isPositive)(once(6)), 0.8055555555555555);
  t.true(Math.abs(areaUnderCurve(scores, isPositive)(once(6)) - 7 / 9) < 1e-12);
  const tied = [0.9, 0.9, 0.7, 0.6, 0.6, 0.3];
  t.true(Math.abs(areaUnderCurve(tied, isPositive)(once(6)) - 2 / 3) < 1e-12);
  t.is(averagePrecision(scores, isPositive.fill(false))(once(6)), Number.NaN);
});

test("AUC is the share of pairs in the right order, whatever each model weighs", (t) => {
  const models = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean(), fc.integer({ min: 0, max: 3 })));
  t.notThrows(() =>
    fc.assert(
      fc.property(models, (own) => {
        const weights = Float64Array.from(own, ([, , weight]) => weight);
        let [won, pairs] = [0, 0];
        for (const [scoreA, positiveA, weightA] of own) {
          for (const [scoreB, positiveB, weightB] of own) {
            if (!positiveA || positiveB) continue;
            pairs += weightA * weightB;
            won += weightA * weightB * (scoreA > scoreB ? 1 : scoreA === scoreB ? 0.5 : 0);
          }
        }
        const scores = own.map(([score]) => score);
        const area = areaUnderCurve(
          scores,
          own.map(([, positive]) => positive),
        )(weights);
        return pairs === 0 ? Number.isNaN(area) : Math.abs(area - won / pairs) < 1e-9;
      }),
    ),
  );
});

test("neighbours vote, the nearest decides between equal shares, and none is its own neighbour", (t) => {
  const rows = { width: 2, values: Float32Array.of(1, 0, 0.9, 0.1, 0, 1, 0.1, 0.9) };
  const gallery = [[0], [0], [1], [1]];
  const all = { similarities: toCosines(rows, rows), gallery, leaveOneOut: true };
  const scores = toNeighbourScores(all, 2);
  // Each has one neighbour of its own label and two of the other.
  t.deepEqual(
    [...scores.subarray(0, 2)].map((score) => Math.round(score * 3)),
    [1, 2],
  );
  const nearest = toLabelNearness(all, [0, 1]);
  t.true((nearest[0] as number) > 0.99 && (nearest[2] as number) < 0.2);
  const query = { similarities: Float32Array.of(0.9, 0.1, 0.8, 0.2), gallery, leaveOneOut: false };
  const [first = 0, second = 0] = toNeighbourScores(query, 2);
  t.true(first > 0.5 && first < 0.6 && second < 0.6);
});

test("confidences that are right as often as they say have no calibration error", (t) => {
  const answers = Array.from({ length: 100 }, (_, index) => ({ confidence: 0.75, isRight: index % 4 !== 0 }));
  t.true(toCalibration(answers).error < 1e-12);
  const sure = answers.map((answer) => ({ ...answer, confidence: 1 }));
  t.true(Math.abs(toCalibration(sure).error - 0.25) < 1e-12);
  t.is(toCalibration(sure).bins.length, 1);
});

test("the scale of cosines is the one that makes the truth likeliest", (t) => {
  // Two of three answers are right, by cosines of 0.1 and 0: softmax gives 2/3 at a scale of ln 2 / 0.1.
  const scores = Float32Array.of(0.1, 0, 0.1, 0, 0.1, 0);
  const scale = fitScale(scores, [[0], [0], [1]]);
  t.true(Math.abs(scale - Math.LN2 / 0.1) < 0.02, `${scale}`);
  t.true(Math.abs((softmax(Float32Array.of(0.1, 0), Math.LN2 / 0.1)[0] as number) - 2 / 3) < 1e-6);
});

test("an interval holds the figure, and narrows with more models", (t) => {
  const widths = [20, 2000].map((count) => {
    const values = Array.from({ length: count }, (_, index) => Number(index % 2 === 0));
    const { value, low, high } = toInterval(count, weightedMean(values));
    t.is(value, 0.5);
    t.true(low < 0.5 && high > 0.5);
    return high - low;
  });
  // The standard error of a share of one half is 0.5 / √n.
  t.true(Math.abs((widths[0] as number) - (2 * 1.96 * 0.5) / Math.sqrt(20)) < 0.05);
  t.true(Math.abs((widths[1] as number) - (2 * 1.96 * 0.5) / Math.sqrt(2000)) < 0.01);
});

test("figures of both objectives, and what chance would reach", (t) => {
  const truths = [[0], [1], [2], [0]];
  const scores = Float32Array.of(0.9, 0, 0, /**/ 0.5, 0.4, 0, /**/ 0, 0, 1, /**/ 1, 0, 0);
  const zeroshot = toFigures({ objective: "zeroshot", scores, truths });
  t.is(zeroshot.accuracy.value, 0.75);
  t.is(zeroshot.top5, undefined);
  t.is(zeroshot.meanAveragePrecision.value, 1);
  t.deepEqual(toChance({ objective: "zeroshot", truths }, 10).top5, 0.5);
  const logits = scores.map((score) => score - 0.45);
  const classification = toFigures({ objective: "classification", scores: logits, truths });
  t.true(Math.abs(classification.accuracy.value - 10 / 12) < 1e-12);
  t.is(toChance({ objective: "classification", truths }, 3).accuracy, (0.5 + 0.75 + 0.75) / 3);
});

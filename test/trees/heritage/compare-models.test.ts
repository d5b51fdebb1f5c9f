import test from "ava";
import { Random } from "../../../src/linalg/random.js";
import { compareModels } from "../../../src/trees/heritage/compare-models.js";
import { LayerCollector, type LayerStatistics } from "../../../src/trees/heritage/layer-statistics.js";
import { assertRefused } from "../../helpers/assert-refused.js";

function toLayer(name: string, rows: number, columns: number, values: Float32Array): LayerStatistics {
  const collector = new LayerCollector({ name, rows, columns });
  collector.add(values);
  return collector.finish();
}

test("distances are summed over layers, and only over those that all models have", (t) => {
  const zeros = new Float32Array(4);
  const model = (a: Float32Array, b: Float32Array, own: string) => [
    toLayer("a", 2, 2, a),
    toLayer("b", 2, 2, b),
    toLayer(own, 2, 2, Float32Array.of(9, 9, 9, 8)),
  ];
  const models = [
    model(zeros, zeros, "x"),
    model(Float32Array.of(3, 0, 0, 4), Float32Array.of(0, 0, 0, 2), "y"),
    model(zeros, zeros, "z"),
  ];
  const found = (["l2", "bulk", "rank"] as const).map((measure) => [...compareModels(models, measure).distances]);
  const expected = [7, 3, 3].map((far) => [0, far, 0, far, 0, far, 0, far, 0]);
  t.deepEqual(found, expected);
  const { layers, squareSums, kurtosis } = compareModels(models);
  t.deepEqual(layers, ["a", "b"]);
  t.deepEqual([...squareSums], [0, 29, 0]);
  t.is(kurtosis.length, 3);
  t.is(kurtosis[0], 0);
});

test("what many share in one direction does not bring siblings closer in bulk", (t) => {
  const side = 24;
  const random = new Random(6);
  const size = side * side;
  const base = random.spread(size, 0.2);
  const [left, right] = [random.spread(side, 1), random.spread(side, 1)];
  // Siblings go the same way by different lengths, and each by some noise.
  const siblings = [0.1, 0.13].map((length) => {
    const noise = random.spread(size, 0.003);
    return base.map(
      (value, at) =>
        value + length * (left[Math.floor(at / side)] as number) * (right[at % side] as number) + (noise[at] as number),
    );
  });
  const models = [base, ...siblings].map((values) => [toLayer("w", side, side, values)]);
  const [l2, bulk] = (["l2", "bulk"] as const).map((measure) => compareModels(models, measure).distances);
  t.true((l2?.[5] ?? 0) < (l2?.[1] ?? 0));
  t.true((bulk?.[5] ?? 0) > (bulk?.[1] ?? 0));
});

test("models without a layer in common are refused, and comparing stops when asked", async (t) => {
  const [a, b] = [toLayer("a", 2, 2, new Float32Array(4)), toLayer("a", 1, 4, new Float32Array(4))];
  await assertRefused(t, () => compareModels([[a], [b]]), {
    kind: "invalid-input",
    reason: "SHAPE_MISMATCH",
    message: /2 models have no layer in common/,
  });
  t.throws(() => compareModels([[a], [a]], "bulk", AbortSignal.abort(new Error("enough"))), { message: "enough" });
});

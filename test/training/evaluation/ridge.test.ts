import test from "ava";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { Random } from "../../../src/linalg/random.js";
import { createMemoryLayerSet } from "../../../src/training/datasets/layer-set.js";
import { toLayerGram } from "../../../src/training/evaluation/layer-gram.js";
import { fitRidge } from "../../../src/training/evaluation/ridge.js";
import { toStandardGram, toWeightStatistics } from "../../../src/training/evaluation/weight-statistics.js";

const [rows, columns, rank, count] = [4, 3, 2, 70];

test("inner products of LoRA layers are those of the layers multiplied out", async (t) => {
  const random = new Random(5);
  const [down, up] = [random.spread(count * rank * columns, 1), random.spread(count * rank * rows, 1)];
  const x = new Float32Array(count * rows * columns);
  for (const at of x.keys()) {
    const [model, row, column] = [Math.floor(at / (rows * columns)), Math.floor(at / columns) % rows, at % columns];
    for (let k = 0; k < rank; k++) {
      const factor = model * rank + k;
      x[at] = (x[at] as number) + (down[factor * columns + column] as number) * (up[factor * rows + row] as number);
    }
  }
  const dense = createMemoryLayerSet(count, { rows, columns }, new Map([["X", x]]));
  const inputs = new Map([
    ["down", down],
    ["up", up],
  ]);
  const lora = createMemoryLayerSet(count, { rows, columns, rank }, inputs);
  // More than one block of models, and blocks that are not square.
  const all = Array.from({ length: count }, (_, index) => index);
  const some = [3, 0, 69];
  const size = rows * columns;
  for (const [left, right] of [
    [all, all],
    [some, all],
  ] as const) {
    const [direct, factored] = [await toLayerGram(dense, left, right), await toLayerGram(lora, left, right)];
    for (const [at, value] of direct.entries()) {
      const [a, b] = [left[Math.floor(at / count)] as number, right[at % count] as number];
      let expected = 0;
      for (let k = 0; k < size; k++) expected += (x[a * size + k] as number) * (x[b * size + k] as number);
      t.true(Math.abs(value - expected) < 1e-4 && Math.abs((factored[at] as number) - expected) < 1e-4);
    }
  }
});

test("ridge regression finds a linear rule with its intercept, and shrinks to the mean", (t) => {
  const random = new Random(6);
  const width = 3;
  const features = random.spread(40 * width, 1);
  const rule = (at: number): number => {
    const [a = 0, b = 0, c = 0] = features.subarray(at * width, (at + 1) * width);
    return 2 * a - b + 0.5 * c + 7;
  };
  const product = (i: number, j: number): number => {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += (features[i * width + k] as number) * (features[j * width + k] as number);
    return sum;
  };
  const n = 30;
  const gram = Float64Array.from({ length: n * n }, (_, at) => product(Math.floor(at / n), at % n));
  const targets = Float32Array.from({ length: n }, (_, at) => rule(at));
  const queries = Float64Array.from({ length: 10 * n }, (_, at) => product(n + Math.floor(at / n), at % n));
  const predicted = fitRidge({ gram, targets, width: 1 }, 1e-9).predict(queries);
  for (const [at, value] of predicted.entries()) t.true(Math.abs(value - rule(n + at)) < 1e-4, `${value}`);
  const mean = targets.reduce((sum, value) => sum + value, 0) / n;
  const shrunk = fitRidge({ gram, targets, width: 1 }, 1e9).predict(queries);
  for (const value of shrunk) t.true(Math.abs(value - mean) < 1e-4);
  t.throws(() => fitRidge({ gram, targets, width: 2 }, 1), { instanceOf: InvalidInputError, message: /do not fit 30/ });
});

test("weight statistics are mean, deviation and quantiles of each factor", async (t) => {
  const inputs = new Map([
    ["down", Float32Array.of(1, 2, 3, 4, 5, /**/ 0, 0, 0, 0, 0)],
    ["up", Float32Array.of(-1, /**/ 4)],
  ]);
  const layers = createMemoryLayerSet(2, { rows: 1, columns: 5, rank: 1 }, inputs);
  const statistics = await toWeightStatistics(layers, [0, 1]);
  t.is(statistics.width, 14);
  const [mean, deviation, ...quantiles] = statistics.values.subarray(0, 7);
  t.is(mean, 3);
  t.true(Math.abs((deviation ?? 0) - Math.SQRT2) < 1e-6);
  t.deepEqual(quantiles, [1, 2, 3, 4, 5]);
  // Two rows, standardised, lie opposite each other in every column that differs: that of "up" has no deviation.
  const [own, other] = toStandardGram(statistics, statistics);
  t.is(own, 13);
  t.is(other, -13);
});

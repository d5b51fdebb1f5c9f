import test from "ava";
import fc from "fast-check";
import { Random } from "../../../src/linalg/random.js";
import { Moments, sumKurtosis, toExcessKurtosis } from "../../../src/trees/heritage/kurtosis.js";

/** Two passes over all numbers at once. */
function exactKurtosis(values: Float32Array): number {
  const shift = values[0] ?? 0;
  // Differences of float32 numbers near each other are exact in float64.
  const shifted = Array.from(values, (value) => value - shift);
  const mean = shifted.reduce((sum, value) => sum + value, 0) / values.length;
  const moment = (power: number): number => shifted.reduce((sum, value) => sum + (value - mean) ** power, 0);
  return (values.length * moment(4)) / moment(2) ** 2 - 3;
}

function* cutAt(values: Float32Array, lengths: readonly number[]): Generator<Float32Array> {
  let at = 0;
  for (let i = 0; at < values.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    yield values.subarray(at, at + length);
    at += length;
  }
}

test("the kurtosis does not depend on how a layer is cut, and equals that of two passes", (t) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 3, max: 700 }), lengths, (seed, count, cuts) => {
      const random = new Random(seed);
      const values = Float32Array.from({ length: count }, () => (random.next() - 0.4) ** 3);
      const expected = exactKurtosis(values);
      const found = toExcessKurtosis(cutAt(values, cuts));
      return Math.abs(found - expected) <= 1e-11 * (3 + Math.abs(expected));
    }),
  );
  t.pass();
});

for (const mean of [1, 1e3, 1e6]) {
  test(`weights about ${mean} lose no digits`, (t) => {
    const random = new Random(7);
    const values = Float32Array.from({ length: 30_000 }, () => mean + 3 * (random.next() - 0.5) ** 3);
    const expected = exactKurtosis(values);
    for (const cuts of [[30_000], [4096], [1], [7, 1000, 1]]) {
      t.true(Math.abs(toExcessKurtosis(cutAt(values, cuts)) - expected) < 1e-8, `pieces of ${cuts}`);
    }
  });
}

test("moments of parts merge in any order", (t) => {
  const random = new Random(3);
  const parts = [500, 1, 3000].map((count) => random.spread(count, 1).map((value) => value ** 3 + count));
  const whole = toExcessKurtosis(parts);
  for (const order of [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
  ]) {
    const sum = new Moments();
    for (const index of order) {
      const part = new Moments();
      part.add(parts[index] ?? new Float32Array(0));
      sum.merge(part);
    }
    t.is(sum.count, 3501);
    t.true(Math.abs(sum.toExcessKurtosis() - whole) < 1e-9);
  }
});

test("known distributions have their known kurtosis", (t) => {
  t.is(toExcessKurtosis([Float32Array.of(-1, 1), Float32Array.of(1, -1)]), -2);
  // Evenly spread numbers 1 to n: −1.2·(n² + 1)/(n² − 1).
  const even = Float64Array.from({ length: 100 }, (_, i) => i + 1);
  t.true(Math.abs(toExcessKurtosis([even]) + (1.2 * 10_001) / 9_999) < 1e-12);
});

test("a layer of equal numbers, an empty one and one with NaN have no kurtosis", (t) => {
  t.is(toExcessKurtosis([Float32Array.of(0.1, 0.1, 0.1), Float32Array.of(0.1)]), Number.NaN);
  t.is(toExcessKurtosis([]), Number.NaN);
  t.is(toExcessKurtosis([Float32Array.of(1, 2, Number.NaN)]), Number.NaN);
  t.is(toExcessKurtosis([Float32Array.of(1, 2), Float32Array.of(Number.POSITIVE_INFINITY)]), Number.NaN);
});

test("a layer without a kurtosis adds nothing to a model's sum", (t) => {
  t.is(sumKurtosis([1.5, Number.NaN, -0.5]), 1);
  t.is(sumKurtosis([]), 0);
});

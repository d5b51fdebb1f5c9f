import test from "ava";
import { fitLogistic } from "../../src/linalg/fit-logistic.js";
import { Random } from "../../src/linalg/random.js";

/** Observations of known odds: 2·a − b − 1. */
function createSample(count: number): { features: Float64Array[]; truths: Uint8Array } {
  const random = new Random(4);
  const features = [0, 1].map(() => Float64Array.from({ length: count }, () => 4 * random.next() - 2));
  const truths = Uint8Array.from({ length: count }, (_, row) => {
    const odds = 2 * (features[0]?.[row] as number) - (features[1]?.[row] as number) - 1;
    return Number(random.next() < 1 / (1 + Math.exp(-odds)));
  });
  return { features, truths };
}

test("slopes and offset of many observations are those that made them", (t) => {
  const { slopes, offset } = fitLogistic(createSample(40_000));
  t.true(Math.abs((slopes[0] as number) - 2) < 0.06, String(slopes));
  t.true(Math.abs((slopes[1] as number) + 1) < 0.06, String(slopes));
  t.true(Math.abs(offset + 1) < 0.06, String(offset));
});

test("an observation of weight 3 counts as three", (t) => {
  const { features, truths } = createSample(300);
  const thrice = fitLogistic({ features, truths, weights: new Float64Array(300).fill(3) });
  const repeat = <T>(values: ArrayLike<T>): T[] => [0, 1, 2].flatMap(() => Array.from(values));
  const repeated = fitLogistic({
    features: features.map((values) => Float64Array.from(repeat(values))),
    truths: Uint8Array.from(repeat(truths)),
  });
  for (const [index, slope] of thrice.slopes.entries()) {
    t.true(Math.abs(slope - (repeated.slopes[index] as number)) < 1e-6);
  }
});

test("truths that a feature separates give finite slopes, and few give no certainty", (t) => {
  const features = [Float64Array.of(-3, -2, -1, 1, 2, 3)];
  const { slopes, offset } = fitLogistic({ features, truths: Uint8Array.of(0, 0, 0, 1, 1, 1) });
  t.true(Number.isFinite(offset) && (slopes[0] as number) > 0 && (slopes[0] as number) < 1000, String(slopes));
  const none = fitLogistic({ features: [new Float64Array(6).fill(2)], truths: Uint8Array.of(0, 0, 0, 0, 0, 1) });
  const rate = 1 / (1 + Math.exp(-(none.offset + 2 * (none.slopes[0] as number))));
  t.true(rate > 0.05 && rate < 0.3, String(rate));
});

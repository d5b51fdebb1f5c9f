import test from "ava";
import { fitLedoitWolf, toMahalanobis } from "../../src/linalg/ledoit-wolf.js";

// Expected figures: LedoitWolf of scikit-learn 1.2, in float64.
test("shrinkage and distances are those of scikit-learn", (t) => {
  const scales = [5, 1, 0.2];
  const values = Float32Array.from({ length: 36 }, (_, at) => {
    const [row, column] = [Math.floor(at / 3), at % 3];
    return Math.sin(1 + row * (column + 1) * 1.7) * (scales[column] as number);
  });
  const gaussian = fitLedoitWolf({ width: 3, values });
  t.true(Math.abs(gaussian.shrinkage - 0.0764361655) < 1e-6, `${gaussian.shrinkage}`);
  const distances = toMahalanobis(gaussian, { width: 3, values: values.subarray(0, 12) });
  for (const [row, expected] of [1.95012596, 1.67036882, 3.57629776, 1.48039996].entries()) {
    t.true(Math.abs((distances[row] as number) - expected) < 1e-5, `${distances[row]}, not ${expected}`);
  }
});

test("a Gaussian of equal rows finds them near and all others far", (t) => {
  const gaussian = fitLedoitWolf({ width: 2, values: Float32Array.of(1, 2, 1, 2, 1, 2) });
  const [near = 1, far = 0] = toMahalanobis(gaussian, { width: 2, values: Float32Array.of(1, 2, 1, 3) });
  t.true(near === 0 && far > 1e6);
});

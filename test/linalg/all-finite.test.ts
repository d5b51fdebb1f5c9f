import test from "ava";
import { allFinite } from "../../src/linalg/all-finite.js";

test("one NaN or infinity among finite numbers is found wherever it stands", (t) => {
  t.true(allFinite(new Float32Array(0)));
  t.true(allFinite(Float32Array.of(0, -0, 3.4e38, -3.4e38, 1e-45)));
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const at of [0, 3, 8]) t.false(allFinite(new Float32Array(9).fill(1).fill(odd, at, at + 1)));
  }
});

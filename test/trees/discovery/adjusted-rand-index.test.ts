import test from "ava";
import fc from "fast-check";
import { InternalError } from "../../../src/errors/probestream-error.js";
import { adjustedRandIndex } from "../../../src/trees/discovery/adjusted-rand-index.js";

test("the same partition under other names has the index 1", (t) => {
  t.is(adjustedRandIndex([0, 0, 1, 1, 2], ["b", "b", "a", "a", "c"]), 1);
  t.is(adjustedRandIndex([1, 1, 1], [2, 2, 2]), 1);
  t.is(adjustedRandIndex([1, 2, 3], [3, 1, 2]), 1);
});

test("known partitions have the index that the formula gives by hand", (t) => {
  // Pairs together in both: 1; in a: 2; in b: 2; of 6. Expected 2·2/6.
  t.true(Math.abs(adjustedRandIndex([0, 0, 1, 1], [0, 0, 1, 2]) - (1 - 1 / 3) / (1.5 - 1 / 3)) < 1e-12);
  // Less than by chance: no pair together in both.
  t.true(Math.abs(adjustedRandIndex([0, 0, 1, 1], [0, 1, 0, 1]) - (0 - 2 / 3) / (2 - 2 / 3)) < 1e-12);
});

test("the index is symmetric and never above 1", (t) => {
  const labels = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(labels, (pairs) => {
      const [a, b] = [pairs.map(([x]) => x), pairs.map(([, y]) => y)];
      const index = adjustedRandIndex(a, b);
      return index <= 1 && Math.abs(index - adjustedRandIndex(b, a)) < 1e-12;
    }),
  );
  t.throws(() => adjustedRandIndex([1], [1, 2]), { instanceOf: InternalError });
});

import test from "ava";
import { toBfloat16 } from "../../bench/heritage-family.js";

test("numbers are rounded to bfloat16 to nearest, ties to even", (t) => {
  const step = 2 ** -7;
  const values = Float32Array.of(1, 1 + 0.4 * step, 1 + 0.5 * step, 1 + 1.5 * step, 1 + 0.6 * step, -3.1, 0);
  const rounded = [1, 1, 1, 1 + 2 * step, 1 + step, -3.09375, 0];
  t.deepEqual([...toBfloat16(values)], rounded);
  t.is(values[5], Math.fround(-3.1));
});

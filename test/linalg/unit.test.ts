import test from "ava";
import { scaleToUnit } from "../../src/linalg/unit.js";

test("a row of any length is scaled to unit length", (t) => {
  for (const scale of [1e-38, 1, 3e38]) {
    const row = Float32Array.of(3 * (scale / 5), 4 * (scale / 5), 0);
    scaleToUnit(row);
    t.true(Math.abs(Math.hypot(...row) - 1) < 1e-6);
  }
});

test("some numbers of an array are scaled, and all others and those of zeros stay", (t) => {
  const values = Float32Array.of(7, 3, 0, 4, 7, 0, 0, 7);
  scaleToUnit(values, 1, 4);
  scaleToUnit(values, 5, 7);
  t.deepEqual([...values], [7, ...Float32Array.of(0.6), 0, ...Float32Array.of(0.8), 7, 0, 0, 7]);
});

import test from "ava";
import { takeEvenly } from "../../src/linalg/take-evenly.js";

test("things are taken at equal distances from the first on, and all where they are few", (t) => {
  const all = [...Array(10).keys()];
  t.deepEqual(takeEvenly(all, 5), [0, 2, 4, 6, 8]);
  t.deepEqual(takeEvenly(all, 3), [0, 3, 6]);
  t.deepEqual(takeEvenly(all, 10), all);
  t.deepEqual(takeEvenly(all, 11), all);
  t.deepEqual(takeEvenly([], 3), []);
});

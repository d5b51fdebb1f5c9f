import test from "ava";
import { poolTokens } from "../../src/text/pool-tokens.js";
import { toPadded } from "../../src/text/token-batches.js";

/** Two texts of three and one tokens, filled up on either side; token t of text r has the vector [10r + t, t²]. */
const right = toPadded([[5, 9, 7], [9]], 4, { padId: 9, padSide: "right" });
const left = toPadded([[5, 9, 7], [9]], 4, { padId: 9, padSide: "left" });
const values = Float32Array.from(
  [0, 10].flatMap((row) => [0, 1, 2, 3].flatMap((token) => [row + token, token * token])),
);

test("the mean is of a text's own tokens", (t) => {
  t.deepEqual([...poolTokens(values, right, "mean")], [1, Math.fround(5 / 3), 10, 0]);
  t.deepEqual([...poolTokens(values, left, "mean")], [2, Math.fround(14 / 3), 13, 9]);
});

test("the first, the last and the end-of-text token are those of the text, not of what fills up", (t) => {
  t.deepEqual([...poolTokens(values, right, "cls")], [0, 0, 10, 0]);
  t.deepEqual([...poolTokens(values, left, "cls")], [1, 1, 13, 9]);
  t.deepEqual([...poolTokens(values, right, "last")], [2, 4, 10, 0]);
  t.deepEqual([...poolTokens(values, left, "last")], [3, 9, 13, 9]);
  t.deepEqual([...poolTokens(values, right, "end", 9)], [1, 1, 10, 0]);
  t.deepEqual([...poolTokens(values, left, "end", 9)], [2, 4, 13, 9]);
  // Where there is none, it is the last.
  t.deepEqual([...poolTokens(values, right, "end", 7)], [2, 4, 10, 0]);
  t.deepEqual([...poolTokens(values, right, "end", 4)], [2, 4, 10, 0]);
  t.deepEqual([...poolTokens(values, left, "end")], [3, 9, 13, 9]);
});

import test from "ava";
import { toBatches, toPadded } from "../../src/text/token-batches.js";

test("every text is in one batch, with others of like length, and no batch has more than 1,024 tokens", (t) => {
  const lengths = Array.from({ length: 500 }, (_, index) => 1 + ((index * 37) % 100));
  const batches = toBatches(lengths);
  t.deepEqual(
    batches.flatMap(({ indices }) => indices).sort((a, b) => a - b),
    lengths.map((_, index) => index),
  );
  for (const { indices, length } of batches) {
    t.is(length, Math.max(...indices.map((index) => lengths[index] ?? 0)));
    t.true(indices.length * length <= 1024);
  }
  t.true(batches.reduce((sum, { indices, length }) => sum + indices.length * length, 0) < 500 * 60);
});

test("a text that is longer than a batch goes alone", (t) => {
  t.deepEqual(toBatches([9000, 2, 8000]), [
    { indices: [1], length: 2 },
    { indices: [2], length: 8000 },
    { indices: [0], length: 9000 },
  ]);
});

test("sequences are filled up on either side, and the mask says where", (t) => {
  const right = toPadded([[1, 2, 3], [4]], 3, { padId: 9, padSide: "right" });
  t.deepEqual([...right.ids], [1, 2, 3, 4, 9, 9]);
  t.deepEqual([...right.mask], [1, 1, 1, 1, 0, 0]);
  const left = toPadded([[4], []], 2, { padId: 9, padSide: "left" });
  t.deepEqual([...left.ids], [9, 4, 9, 9]);
  t.deepEqual([...left.mask], [0, 1, 0, 0]);
});

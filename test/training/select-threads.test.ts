import test from "ava";
import { countMultiplyAdds, selectThreads } from "../../src/training/select-threads.js";
import type { TrainShape } from "../../src/training/train-shape.js";

const sizes = { probes: 3, projection: 5, representation: 7, labels: 11 };

test("multiply-adds are counted as the products are made", (t) => {
  const dense: TrainShape = { objective: "classification", ...sizes, layer: { rows: 13, columns: 17 } };
  const [responses, projected, encoded, head] = [13 * 17 * 3, 5 * 13 * 3, 7 * 15, 7 * 11];
  t.is(countMultiplyAdds(dense, 2), 2 * (responses + projected + encoded + head));
  const lora: TrainShape = { ...dense, objective: "zeroshot", textWidth: 19, layer: { ...dense.layer, rank: 2 } };
  const [down, up, both, texts] = [2 * 17 * 3, 5 * 13 * 2, 5 * 2 * 3, 7 * 19];
  t.is(countMultiplyAdds(lora, 1), down + up + both + encoded + texts);
});

test("runs that are too small to be shared take one thread", (t) => {
  t.deepEqual(
    [1, 3_000_000, 3_000_001].map((multiplyAdds) => selectThreads(multiplyAdds, 2)),
    [1, 1, 2],
  );
  t.is(selectThreads(1e9, 1), 1);
});

import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { fitMoments, toMomentsDistance } from "../../src/trees/fit-moments.js";
import { addMoments } from "../../src/trees/sketches/sketch-moments.js";

const [rank, width] = [2, 64];

/** A LoRA layer whose directions are drawn from those of its tree. */
function sketchOf(random: Random, tree: number): Float64Array {
  const shared = new Random(tree);
  const directions = Array.from({ length: 6 }, () => [shared.spread(width, 1), shared.spread(width, 1)] as const);
  const [down, up] = [new Float32Array(rank * width), new Float32Array(width * rank)];
  for (let r = 0; r < rank; r++) {
    for (const [input, output] of directions) {
      const [a, b] = [random.next() - 0.5, random.next() - 0.5];
      for (let i = 0; i < width; i++) {
        down[r * width + i] = (down[r * width + i] as number) + a * (input[i] as number);
        up[i * rank + r] = (up[i * rank + r] as number) + b * (output[i] as number);
      }
    }
  }
  const sum = new Float64Array(128 * 64);
  addMoments(sum, 128, 0, { rank, down, up });
  return sum;
}

test("LoRA layers are nearer to their own tree than to any other, and out of reach of these", (t) => {
  const random = new Random(31);
  const trees = [1, 2, 3].map((tree) => fitMoments(Array.from({ length: 40 }, () => sketchOf(random, tree))));
  for (const tree of [1, 2, 3]) {
    for (let model = 0; model < 20; model++) {
      const sketch = sketchOf(random, tree);
      const shares = trees.map(({ values, reach }) => toMomentsDistance(sketch, values) / reach);
      t.is(shares.indexOf(Math.min(...shares)), tree - 1);
      t.true((shares[tree - 1] as number) <= 1);
      t.true(
        shares.every((share, other) => other === tree - 1 || share > 1),
        shares.join(" "),
      );
    }
  }
});

test("distances lie between 0 and 2, and a layer that is 0 is far from all", (t) => {
  const [x, y] = [Float64Array.of(1, 2, 0), Float64Array.of(-2, -4, 0)];
  t.true(Math.abs(toMomentsDistance(x, x)) < 1e-12);
  t.true(Math.abs(toMomentsDistance(x, y) - 2) < 1e-12);
  t.is(toMomentsDistance(x, new Float64Array(3)), 1);
});

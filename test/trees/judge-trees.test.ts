import test from "ava";
import { Random } from "../../src/linalg/random.js";
import { fitCentroid } from "../../src/trees/fit-centroid.js";
import { judgeTrees } from "../../src/trees/judge-trees.js";
import { openSketchKernel, type SketchKernel } from "../../src/trees/sketches/sketch-kernel.js";
import { type CentredTree, toRadius } from "../../src/trees/tree.js";

let kernel: SketchKernel;
test.before(async () => {
  kernel = await openSketchKernel();
});
const [rowCount, columnCount] = [256, 96];
const size = rowCount * columnCount;

function sketchOf(values: Float32Array): Float64Array {
  const sketch = kernel.create({ rowCount, columnCount });
  sketch.add({ bytes: new Uint8Array(values.buffer), dtype: "F32", rowBegin: 0, rowCount });
  return sketch.values;
}

/** A base with models whose weights lie `deviation` from it. */
function growTree(random: Random, base: Float32Array, deviation: number, count: number): Float32Array[] {
  return Array.from({ length: count }, () => {
    const change = random.spread(size, deviation * (0.5 + random.next()));
    return base.map((value, i) => value + (change[i] as number));
  });
}

function fitTree(models: readonly Float32Array[]): CentredTree {
  const centroid = fitCentroid({ rowCount, columnCount }, models.map(sketchOf));
  return { name: "tree", models: models.length, centroid };
}

function plus(base: Float32Array, change: Float32Array): Float32Array {
  return base.map((value, i) => value + (change[i] as number));
}

test("models go to their own tree after a few rows, and foreign ones to none", (t) => {
  const random = new Random(1);
  const bases = Array.from({ length: 4 }, () => random.spread(size, 1));
  const trees = bases.map((base) => fitTree(growTree(random, base, 0.1, 100)));
  for (const [own, base] of bases.entries()) {
    for (const model of growTree(random, base, 0.1, 20)) {
      const sketch = sketchOf(model);
      for (const blocks of [2, 6, 128]) t.is(judgeTrees(sketch, blocks, trees).chosen, own);
      t.is(judgeTrees(sketch, 1, trees).chosen, undefined);
    }
  }
  const foreign = sketchOf(random.spread(size, 1));
  for (const blocks of [2, 6, 24, 128]) {
    const judgement = judgeTrees(foreign, blocks, trees);
    t.is(judgement.chosen, undefined);
    // Certain only once what came is farther than a whole layer may be.
    if (blocks > 20) t.true(judgement.isForeign);
  }
});

test("a tree inside a tree is told from it, and its models from those of the outer one", (t) => {
  const random = new Random(2);
  const outer = random.spread(size, 1);
  const inner = plus(outer, random.spread(size, 0.15));
  const trees = [outer, inner].map((base) => fitTree(growTree(random, base, 0.1, 100)));
  for (const [own, base] of [outer, inner].entries()) {
    for (const model of growTree(random, base, 0.1, 40)) t.is(judgeTrees(sketchOf(model), 128, trees).chosen, own);
  }
});

test("nothing is certain where trees are the same so far", (t) => {
  const random = new Random(3);
  const first = random.spread(size, 1);
  // They differ in the second half of their rows only.
  const second = first.map((value, i) => (i < size / 2 ? value : -value));
  const trees = [first, second].map((base) => fitTree(growTree(random, base, 0.05, 30)));
  const [model] = growTree(random, second, 0.05, 1) as [Float32Array];
  t.is(judgeTrees(sketchOf(model), 30, trees).chosen, undefined);
  t.is(judgeTrees(sketchOf(model), 128, trees).chosen, 1);
});

test("nothing is certain between trees of one base, however few models tell where they lie", (t) => {
  const random = new Random(5);
  const base = random.spread(size, 1);
  for (const count of [2, 3, 4, 8]) {
    for (let round = 0; round < 10; round++) {
      const trees = [0, 1].map(() => fitTree(growTree(random, base, 0.1, count)));
      const [model] = growTree(random, base, 0.1, 1) as [Float32Array];
      const sketch = sketchOf(model);
      for (let blocks = 1; blocks <= 128; blocks++) {
        const { chosen } = judgeTrees(sketch, blocks, trees);
        t.is(chosen, undefined, `${count} models, ${blocks} blocks`);
      }
    }
  }
});

test("at most one of a hundred of a tree's own models is refused", (t) => {
  const random = new Random(4);
  const base = random.spread(size, 1);
  const tree = fitTree(growTree(random, base, 0.1, 200));
  const radius = toRadius(tree.centroid);
  const distances = growTree(random, base, 0.1, 300).map((model) => {
    const { standings } = judgeTrees(sketchOf(model), 128, [tree]);
    return Math.sqrt(standings[0]?.squared ?? Number.NaN);
  });
  t.true(distances.filter((distance) => distance > radius).length <= 3);
  t.true(Math.abs(tree.centroid.median - Math.sqrt(size) * 0.1) < 0.2 * tree.centroid.median);
});

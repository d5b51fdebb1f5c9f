import test from "ava";
import { Random } from "../../../src/linalg/random.js";
import { adjustedRandIndex } from "../../../src/trees/discovery/adjusted-rand-index.js";
import {
  chooseNestedMerges,
  chooseTreeMerges,
  findLimit,
  takeMostUnlike,
} from "../../../src/trees/discovery/choose-tree-count.js";
import { clusterSketches } from "../../../src/trees/discovery/cluster-sketches.js";
import { cutMerges } from "../../../src/trees/discovery/cut-merges.js";
import type { VectorTable } from "../../../src/trees/discovery/squared-distances.js";

const width = 256;

/** A pile of vectors: bases of length 1, fine-tunes that lie around them at distances of their own. */
class Pile {
  readonly rows: Float32Array[] = [];
  readonly labels: number[] = [];
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  direction(length = 1): Float32Array {
    const values = this.#random.spread(width, 1);
    const norm = Math.hypot(...values);
    return values.map((value) => (value * length) / norm);
  }

  /** Fine-tunes of a base at distances from `near` to `far`, even in their logarithm. */
  add(base: Float32Array, count: number, near: number, far = near): this {
    const label = this.labels.length;
    for (let i = 0; i < count; i++) {
      const delta = this.direction(near * (far / near) ** (count === 1 ? 0 : i / (count - 1)));
      this.rows.push(base.map((value, at) => value + (delta[at] as number)));
      this.labels.push(label);
    }
    return this;
  }

  get table(): VectorTable {
    const values = new Float32Array(this.rows.length * width);
    for (const [at, row] of this.rows.entries()) values.set(row, at * width);
    return { count: this.rows.length, width, values };
  }

  async cluster() {
    return clusterSketches(this.table, Int32Array.from(this.rows.keys()), 1000);
  }

  /** Labels that are found, and the adjusted Rand index against those that were meant. */
  async findTrees(): Promise<{ readonly trees: number; readonly index: number }> {
    const { dendrogram, merges } = await this.cluster();
    const { labels, parents } = cutMerges(dendrogram, chooseTreeMerges(merges, 1));
    return { trees: parents.length, index: adjustedRandIndex(labels, this.labels) };
  }

  async findNested(): Promise<{ readonly trees: number; readonly index: number }> {
    const { dendrogram, merges } = await this.cluster();
    const { labels, parents } = cutMerges(dendrogram, chooseNestedMerges(merges, 1));
    return { trees: parents.length, index: adjustedRandIndex(labels, this.labels) };
  }
}

test("unrelated bases with their fine-tunes are as many trees, whatever their sizes", async (t) => {
  for (const sizes of [
    [30, 30, 30],
    [150, 3, 1],
    [2, 2],
    [1, 1, 1, 1],
    [80, 1, 1, 1, 20],
  ]) {
    const pile = new Pile(sizes.length);
    for (const size of sizes) pile.add(pile.direction(), size, 0.15);
    t.deepEqual(await pile.findTrees(), { trees: sizes.length, index: 1 });
  }
});

test("a single tree is one tree, of two models as of many", async (t) => {
  for (const size of [1, 2, 3, 80]) {
    const pile = new Pile(size);
    t.deepEqual(await pile.add(pile.direction(), size, 0.2).findTrees(), { trees: 1, index: 1 });
  }
});

test("distances that vary 20-fold inside a tree split neither the tree nor make nested ones", async (t) => {
  for (const far of [0.2, 0.6]) {
    const pile = new Pile(7);
    pile.add(pile.direction(), 100, far / 20, far);
    t.deepEqual(await pile.findTrees(), { trees: 1, index: 1 });
    t.deepEqual(await pile.findNested(), { trees: 1, index: 1 });
    pile.add(pile.direction(), 40, far / 20, far);
    t.deepEqual(await pile.findTrees(), { trees: 2, index: 1 });
  }
});

test("a model unlike all others is cut out of a large tree whose halves are joined later", async (t) => {
  const pile = new Pile(3);
  const base = pile.direction();
  // Two halves apart from each other, in a tree all the same.
  pile.add(
    base.map((value, at) => value * (at % 2 === 0 ? 1.2 : 0.8)),
    200,
    0.3,
  );
  const label = pile.labels.at(-1) ?? 0;
  pile.add(
    base.map((value, at) => value * (at % 2 === 0 ? 0.8 : 1.2)),
    200,
    0.3,
  );
  pile.labels.fill(label);
  pile.add(pile.direction(), 1, 0.1);
  t.deepEqual(await pile.findTrees(), { trees: 2, index: 1 });
});

test("fine-tunes of a fine-tune are a nested tree where there is a gap, and a line of numbers is none", async (t) => {
  const pile = new Pile(9);
  const base = pile.direction();
  const turned = pile.direction(0.3);
  const second = base.map((value, at) => value + (turned[at] as number));
  pile.add(base, 60, 0.08).add(second, 40, 0.08);
  t.deepEqual(await pile.findTrees().then(({ trees }) => trees), 1);
  t.deepEqual(await pile.findNested(), { trees: 2, index: 1 });
  const line = new Pile(10);
  const along = line.direction();
  for (let i = 0; i < 100; i++)
    line.add(
      base.map((value, at) => value + (i / 300) * (along[at] as number)),
      1,
      0.001,
    );
  t.is((await line.findNested()).trees, 1);
  const random = new Random(1);
  for (let seed = 0; seed < 3; seed++) {
    const scattered = new Pile(seed);
    for (let i = 0; i < 100; i++) {
      const step = random.next() / 3;
      scattered.add(
        base.map((value, at) => value + step * (along[at] as number)),
        1,
        0.001,
      );
    }
    t.is((await scattered.findNested()).trees, 1);
  }
});

test("the limit is in the largest gap between what is surely one tree and what is surely two", (t) => {
  t.true(Math.abs(findLimit([]) - Math.sqrt(0.3 * 0.95)) < 1e-12);
  t.true(Math.abs(findLimit([0.01, 0.35, 0.4, 0.9, 1.02]) - Math.sqrt(0.4 * 0.9)) < 1e-12);
});

test("a number of trees that is asked for is shared out by unlikeness, over all signatures", (t) => {
  const merge = (unlikeness: number, least = 1) => ({ least, unlikeness, separation: 0, share: 0, rise: 0 });
  const groups = [
    { merges: [merge(0.1), merge(0.9), merge(0.3)], leastModels: 1 },
    { merges: [merge(0.95, 2), merge(0.5, 12)], leastModels: 10 },
  ];
  t.deepEqual(takeMostUnlike(groups, 2), [[], []]);
  t.deepEqual(takeMostUnlike(groups, 4), [[1], [1]]);
  t.deepEqual(takeMostUnlike(groups, 99), [[0, 1, 2], [1]]);
});

import test from "ava";
import fc from "fast-check";
import { Random } from "../../../src/linalg/random.js";
import { PairTable } from "../../../src/trees/discovery/pair-table.js";
import { clusterByWard, type Dendrogram } from "../../../src/trees/discovery/ward.js";

type Points = readonly Float32Array[];

function toTable(points: Points): PairTable {
  const distances = new PairTable(points.length);
  for (const [i, a] of points.entries()) {
    for (const [j, b] of points.entries()) if (i < j) distances.values[distances.at(i, j)] = squareOf(a, b);
  }
  return distances;
}

function squareOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, i) => sum + (value - (b[i] as number)) ** 2, 0);
}

/** Ward by the book, O(n³): of all pairs of clusters the one that adds least to the sum of squares, from the means. */
function clusterNaively(points: Points): { height: number; members: number[] }[] {
  let clusters = points.map((point, index) => ({ mean: Array.from(point), members: [index] }));
  const merges: { height: number; members: number[] }[] = [];
  while (clusters.length > 1) {
    let best: [number, number, number] = [0, 1, Number.POSITIVE_INFINITY];
    for (const [i, a] of clusters.entries()) {
      for (const [j, b] of clusters.entries()) {
        const [m, n] = [a.members.length, b.members.length];
        const height = ((2 * m * n) / (m + n)) * squareOf(a.mean, b.mean);
        if (i < j && height < best[2]) best = [i, j, height];
      }
    }
    const [a, b] = [clusters[best[0]], clusters[best[1]]];
    if (a === undefined || b === undefined) break;
    const members = [...a.members, ...b.members].sort((x, y) => x - y);
    const mean = a.mean.map((value, i) => {
      return (value * a.members.length + (b.mean[i] as number) * b.members.length) / members.length;
    });
    merges.push({ height: best[2], members });
    clusters = [...clusters.filter((cluster) => cluster !== a && cluster !== b), { mean, members }];
  }
  return merges;
}

/** The points of each merge's node. */
function toMembers({ count, left, right }: Dendrogram): number[][] {
  const nodes: number[][] = Array.from({ length: count }, (_, point) => [point]);
  for (const merge of left.keys()) {
    const sides = [left[merge], right[merge]].flatMap((node) => nodes[node as number] ?? []);
    nodes.push(sides.sort((a, b) => a - b));
  }
  return nodes.slice(count);
}

test("chains of nearest neighbours find what Ward's method finds by the book", async (t) => {
  const sizes = fc.tuple(fc.integer({ min: 1, max: 32 }), fc.integer({ min: 1, max: 5 }), fc.integer());
  await fc.assert(
    fc.asyncProperty(sizes, async ([count, width, seed]) => {
      const random = new Random(seed);
      const points = Array.from({ length: count }, () => random.spread(width, 1));
      const found = await clusterByWard(toTable(points));
      const expected = clusterNaively(points);
      const heights = [...found.height];
      return (
        heights.length === expected.length &&
        expected.every(({ height }, at) => Math.abs(height - (heights[at] ?? 0)) <= 1e-4 * height + 1e-7) &&
        JSON.stringify(toMembers(found)) === JSON.stringify(expected.map(({ members }) => members))
      );
    }),
    { numRuns: 40 },
  );
  t.pass();
});

test("merges stand in the order of their heights, each of nodes made before it, and hold every point once", async (t) => {
  const points = Array.from({ length: 300 }, (_, at) => new Random(at % 40).spread(8, 1 + (at % 3)));
  const found = await clusterByWard(toTable(points));
  for (const merge of found.left.keys()) {
    t.true((found.height[merge] ?? 0) >= (found.height[merge - 1] ?? 0));
    t.true(Math.max(found.left[merge] ?? 0, found.right[merge] ?? 0) < points.length + merge);
  }
  t.deepEqual(
    toMembers(found).at(-1),
    points.map((_, at) => at),
  );
});

test("equal points are merged at height 0, in whatever number", async (t) => {
  const { height } = await clusterByWard(new PairTable(50));
  t.true(height.every((value) => value === 0));
});

test("points equally far from each other are merged all the same, whatever rounding says of them", async (t) => {
  for (const distance of [0.1, 1 / 3, 7e-8]) {
    const table = new PairTable(400);
    table.values.fill(distance);
    const found = await clusterByWard(table);
    t.is(toMembers(found).at(-1)?.length, 400);
    const total = found.height.reduce((sum, height) => sum + height / 2, 0);
    // The sum of squares about the mean is half the mean squared distance, for each point but one.
    t.true(Math.abs(total - (399 * distance) / 2) < 1e-4 * total);
  }
});

test("one point is no merge, and a signal ends the work", async (t) => {
  t.is((await clusterByWard(new PairTable(1))).height.length, 0);
  const signal = AbortSignal.abort(new Error("enough"));
  await t.throwsAsync(clusterByWard(new PairTable(3), signal), { message: "enough" });
});

test("each pair has a place of its own, in either order, over the edges of tiles", (t) => {
  for (const n of [2, 32, 33, 100]) {
    const table = new PairTable(n);
    const places = new Set<number>();
    for (let i = 0; i < n; i++) {
      for (let j = i + 1; j < n; j++) {
        places.add(table.at(i, j));
        t.is(table.at(j, i), table.at(i, j));
      }
    }
    t.is(places.size, (n * (n - 1)) / 2);
    t.true(Math.max(...places) < table.values.length);
    t.true(table.values.length <= (n * (n - 1)) / 2 + 48 * n + 1000);
  }
});

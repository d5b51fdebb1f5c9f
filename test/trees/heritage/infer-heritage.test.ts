import test from "ava";
import fc from "fast-check";
import { Random } from "../../../src/linalg/random.js";
import { inferHeritage } from "../../../src/trees/heritage/infer-heritage.js";
import { assertRefused } from "../../helpers/assert-refused.js";

/** Models as a walk would leave them: each child one step of its own from its parent, in a direction of its own. */
function toFamily(count: number, seed: number) {
  const random = new Random(seed);
  const parents = Array.from({ length: count }, (_, child) => (child === 0 ? -1 : Math.floor(random.next() * child)));
  const lengths = parents.map(() => 0.5 + random.next());
  const depth = new Float64Array(count);
  const above = parents.map((parent, child) => {
    depth[child] = parent < 0 ? 0 : (depth[parent] as number) + 1;
    return new Set<number>([child]);
  });
  for (const [child, parent] of parents.entries()) for (const node of above[parent] ?? []) above[child]?.add(node);
  const distances = Float64Array.from({ length: count * count }, (_, at) => {
    const [a, b] = [above[Math.floor(at / count)], above[at % count]];
    let squares = 0;
    for (const [node, length] of lengths.entries()) if (a?.has(node) !== b?.has(node)) squares += length ** 2;
    return Math.sqrt(squares);
  });
  return { parents, depth, distances };
}

test("a family whose kurtosis is monotone is recovered in either stage", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 25 }), fc.integer(), fc.boolean(), (count, seed, grows) => {
      const { parents, depth, distances } = toFamily(count, seed);
      const { root, edges } = inferHeritage({
        distances,
        kurtosis: depth.map((own) => (grows ? own : -own)),
        stage: grows ? "generalisation" : "specialisation",
      });
      const found = [...parents.keys()].map((child) => edges.find((edge) => edge.child === child)?.parent ?? -1);
      return root === 0 && edges.length === count - 1 && found.every((parent, child) => parent === parents[child]);
    }),
  );
  t.pass();
});

test("edges carry their distance, in the order of the children", (t) => {
  const distances = Float64Array.of(0, 2, 5, 2, 0, 3, 5, 3, 0);
  t.deepEqual(inferHeritage({ distances, kurtosis: [9, 8, 7], stage: "specialisation" }), {
    root: 0,
    edges: [
      { parent: 0, child: 1, distance: 2 },
      { parent: 1, child: 2, distance: 3 },
    ],
  });
  t.is(inferHeritage({ distances, kurtosis: [9, 8, 7], stage: "generalisation" }).root, 2);
});

test("of two models the kurtosis decides which came first", (t) => {
  const distances = Float64Array.of(0, 4, 4, 0);
  const roots = (["generalisation", "specialisation"] as const).map(
    (stage) => inferHeritage({ distances, kurtosis: [1, 2], stage }).root,
  );
  t.deepEqual(roots, [0, 1]);
  t.deepEqual(inferHeritage({ distances, kurtosis: [1, 1], stage: "specialisation" }), {
    root: 0,
    edges: [{ parent: 0, child: 1, distance: 4 }],
  });
});

test("one model is its own tree", (t) => {
  const alone = inferHeritage({ distances: Float64Array.of(0), kurtosis: [3], stage: "generalisation" });
  t.deepEqual(alone, { root: 0, edges: [] });
});

test("equal models give a tree of edges of no length", (t) => {
  const { edges } = inferHeritage({
    distances: new Float64Array(25),
    kurtosis: new Array(5).fill(2),
    stage: "generalisation",
  });
  t.is(edges.length, 4);
  t.true(edges.every(({ distance }) => distance === 0));
});

test("a great weight makes every edge follow the kurtosis, none leaves it out", (t) => {
  // A line of 0, 1 and 2, though kurtosis has 1 last.
  const line = Float64Array.of(0, 1, 2, 1, 0, 1, 2, 1, 0);
  const kurtosis = [3, 1, 2];
  const infer = (directionWeight: number) =>
    inferHeritage({ distances: line, kurtosis, stage: "specialisation", directionWeight }).edges;
  t.is(
    infer(0).reduce((sum, { distance }) => sum + distance, 0),
    2,
  );
  t.true(infer(10).every(({ parent, child }) => (kurtosis[parent] ?? 0) > (kurtosis[child] ?? 0)));
});

test("input that is no distance, no kurtosis or no square is refused", async (t) => {
  const stage = "generalisation";
  const refuse = (
    input: Partial<Parameters<typeof inferHeritage>[0]>,
    reason: "NON_FINITE" | "SHAPE_MISMATCH" | "FIELD_INVALID",
    message: RegExp,
  ) =>
    assertRefused(
      t,
      () => inferHeritage({ distances: Float64Array.of(0, 1, 1, 0), kurtosis: [1, 2], stage, ...input }),
      {
        kind: "invalid-input",
        reason,
        message,
      },
    );
  await refuse({ distances: Float64Array.of(0, Number.NaN, 1, 0) }, "NON_FINITE", /distance of models 0 and 1 is NaN/);
  await refuse({ distances: Float64Array.of(0, 1, -1, 0) }, "FIELD_INVALID", /distance of models 1 and 0 is -1/);
  await refuse({ kurtosis: [1, Number.NaN] }, "NON_FINITE", /statistic of model 1 is NaN; leave/);
  await refuse({ kurtosis: [1, 2, 3] }, "SHAPE_MISMATCH", /4 distances were given for 3 models/);
  await refuse({ kurtosis: [], distances: new Float64Array(0) }, "SHAPE_MISMATCH", /one model or more/);
  await refuse({ directionWeight: -0.1 }, "FIELD_INVALID", /directionWeight is -0.1/);
});

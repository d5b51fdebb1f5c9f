import test from "ava";
import fc from "fast-check";
import { Random } from "../../../src/linalg/random.js";
import { findSpanningArborescence } from "../../../src/trees/heritage/spanning-arborescence.js";
import { assertRefused } from "../../helpers/assert-refused.js";

/** Cost of a tree; undefined unless each node but the root is reached from it. */
function costOf(costs: Float64Array, parents: ArrayLike<number>, root: number): number | undefined {
  const count = parents.length;
  let sum = 0;
  for (let node = 0; node < count; node++) {
    let at = node;
    for (let steps = 0; at !== root; steps++) {
      at = parents[at] ?? -1;
      if (at < 0 || steps > count) return undefined;
    }
    if (node !== root) sum += costs[(parents[node] as number) * count + node] as number;
  }
  return sum;
}

/** Tries every choice of parents for every root. */
function leastCost(costs: Float64Array, count: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let root = 0; root < count; root++) {
    const parents = new Array<number>(count).fill(0);
    for (let choice = 0; choice < count ** count; choice++) {
      let rest = choice;
      for (let node = 0; node < count; node++) {
        parents[node] = rest % count;
        rest = Math.floor(rest / count);
      }
      if (parents[root] !== root) continue;
      least = Math.min(least, costOf(costs, parents, root) ?? Number.POSITIVE_INFINITY);
    }
  }
  return least;
}

const sized = (cost: fc.Arbitrary<number>, most: number) =>
  fc
    .integer({ min: 1, max: most })
    .chain((count) =>
      fc
        .array(cost, { minLength: count * count, maxLength: count * count })
        .map((costs) => ({ count, costs: Float64Array.from(costs) })),
    );

test("the tree costs as little as any, by trying all of them", (t) => {
  // Few different whole costs make many ties and cycles in cycles.
  const cost = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -9, max: 9 }));
  fc.assert(
    fc.property(sized(cost, 5), ({ count, costs }) => {
      const { root, parents } = findSpanningArborescence(costs, count);
      return parents[root] === -1 && costOf(costs, parents, root) === leastCost(costs, count);
    }),
    { numRuns: 200 },
  );
  t.pass();
});

/** Chu-Liu and Edmonds by their definition, for one root: recursive contraction of all cycles of cheapest edges. */
function leastCostFrom(edges: readonly (readonly [number, number, number])[], count: number, root: number): number {
  const least = new Array<readonly [number, number, number]>(count);
  for (const edge of edges) {
    const [from, to, cost] = edge;
    if (from !== to && to !== root && !((least[to]?.[2] ?? Number.POSITIVE_INFINITY) <= cost)) least[to] = edge;
  }
  const groups = new Array<number>(count).fill(-1);
  const seen = new Array<number>(count).fill(-1);
  let [groupCount, sum] = [0, 0];
  for (let node = 0; node < count; node++) {
    sum += node === root ? 0 : (least[node]?.[2] ?? Number.NaN);
    let at = node;
    while (at !== root && seen[at] !== node && groups[at] === -1) {
      seen[at] = node;
      at = least[at]?.[0] ?? root;
    }
    if (at === root || groups[at] !== -1) continue;
    for (let member = at; groups[member] === -1; member = least[member]?.[0] ?? root) groups[member] = groupCount;
    groupCount++;
  }
  if (groupCount === 0) return sum;
  const grouped = groups.map((group) => (group === -1 ? groupCount++ : group));
  const outer = edges.flatMap(([from, to, cost]): [number, number, number][] => {
    const [a, b] = [grouped[from] ?? 0, grouped[to] ?? 0];
    return a === b ? [] : [[a, b, cost - (to === root ? 0 : (least[to]?.[2] ?? 0))]];
  });
  return sum + leastCostFrom(outer, groupCount, grouped[root] ?? 0);
}

test("larger graphs agree with contraction from every root", (t) => {
  fc.assert(
    fc.property(sized(fc.integer({ min: 0, max: 40 }), 14), ({ count, costs }) => {
      const { root, parents } = findSpanningArborescence(costs, count);
      const edges = [...costs.entries()].map(([at, cost]) => [Math.floor(at / count), at % count, cost] as const);
      const least = Math.min(...Array.from({ length: count }, (_, from) => leastCostFrom(edges, count, from)));
      return costOf(costs, parents, root) === least;
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test("of 500 nodes a hidden tree is found, whatever its shape", (t) => {
  const count = 500;
  for (const bend of [0, 0.9, 1]) {
    const random = new Random(5);
    const order = random.order(count);
    const expected = new Int32Array(count).fill(-1);
    const costs = Float64Array.from({ length: count * count }, () => 2 + random.next());
    for (let place = 1; place < count; place++) {
      const node = order[place] as number;
      const from = random.next() < bend ? place - 1 : Math.floor(random.next() * place);
      expected[node] = order[from] as number;
      costs[(expected[node] as number) * count + node] = random.next();
      // The way back costs nearly as little, so that every edge closes a cycle.
      costs[node * count + (expected[node] as number)] = 1 + random.next() / 10;
    }
    const { root, parents } = findSpanningArborescence(costs, count);
    t.is(root, order[0] ?? -1);
    t.deepEqual(parents, expected);
  }
});

test("500 random nodes cost what contraction by the definition costs", (t) => {
  const count = 500;
  const random = new Random(11);
  const costs = Float64Array.from({ length: count * count }, () => Math.floor(random.next() * 1e6));
  const { root, parents } = findSpanningArborescence(costs, count);
  const edges = [...costs.entries()].map(([at, cost]) => [Math.floor(at / count), at % count, cost] as const);
  t.true(costOf(costs, parents, root) === leastCostFrom(edges, count, root));
});

test("one node is its own tree, and its diagonal is not read", (t) => {
  t.deepEqual(findSpanningArborescence(Float64Array.of(Number.NaN), 1), { root: 0, parents: Int32Array.of(-1) });
});

test("costs that are no square and costs that are not finite are refused", async (t) => {
  await assertRefused(t, () => findSpanningArborescence(new Float64Array(3), 2), {
    kind: "invalid-input",
    reason: "SHAPE_MISMATCH",
    message: /3 costs were given for 2 nodes/,
  });
  await assertRefused(t, () => findSpanningArborescence(new Float64Array(0), 0), {
    reason: "SHAPE_MISMATCH",
    message: /one node or more/,
  });
  await assertRefused(t, () => findSpanningArborescence(Float64Array.of(0, 1, Number.NaN, 0), 2), {
    reason: "NON_FINITE",
    message: "The cost of the edge from 1 to 0 is NaN; costs must be finite numbers.",
  });
});

import test from "ava";
import { scaleToUnit } from "../../../../src/linalg/unit.js";
import { findNearest } from "../../../../src/vectors/stores/lmdb/find-nearest.js";
import { maskedBias, openNearestGraph } from "../../../../src/vectors/stores/lmdb/nearest-graph.js";
import type { Candidates } from "../../../../src/vectors/stores/lmdb/resident-space.js";
import { createRandom, randomValues } from "../../../helpers/random.js";

const width = 12;
const count = 900;

/** Rows of which many are the same, or nearly so, cut into segments: whole ones, masked ones, and some that are picked. */
function createRows(seed: number) {
  const random = createRandom(seed);
  const kinds = Array.from({ length: 30 }, (_, index) => randomValues(width, seed * 100 + index));
  const values = new Float32Array(count * width);
  for (let row = 0; row < count; row++) {
    const kind = kinds[Math.floor(random() * kinds.length)] as Float32Array;
    const own = values.subarray(row * width, (row + 1) * width);
    own.set(kind);
    if (random() < 0.5) own[0] = (own[0] as number) + 1e-7 * random();
    scaleToUnit(own);
  }
  const kept = Array.from({ length: count }, (_, row) => row < 300 || random() < 0.4);
  const segments: Candidates[] = [{ first: 0, width, count: 300, values: values.subarray(0, 300 * width) }];
  const biased = values.subarray(300 * width, 600 * width);
  const bias = Float32Array.from({ length: 300 }, (_, row) => (kept[300 + row] ? 0 : maskedBias));
  segments.push({ first: 300, width, count: 300, values: biased, bias });
  const slots = Uint32Array.from(Array.from({ length: 300 }, (_, row) => 600 + row).filter((row) => kept[row]));
  const picked = Float32Array.from([...slots].flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]));
  segments.push({ first: 600, width, count: slots.length, values: picked, slots });
  return { values, kept, segments };
}

test("the nearest rows are those of float64, in whatever segments they lie and however many are equal", async (t) => {
  const graph = await openNearestGraph(1);
  for (let seed = 0; seed < 4; seed++) {
    const { values, kept, segments } = createRows(seed);
    const rowOf = (slot: number): Float32Array => values.subarray(slot * width, (slot + 1) * width);
    const idOf = (slot: number): string => `m${(slot * 7919) % count}`;
    const vectors = new Float32Array(5 * width);
    vectors.set(randomValues(3 * width, seed));
    vectors.set(rowOf(10), 3 * width);
    vectors.set(rowOf(700), 4 * width);
    for (const k of [1, 10, 100, 2000]) {
      const question = { vectors, k, minCosine: -2, isGone: () => false };
      const space = { width, idOf, rowOf };
      const found = await findNearest(graph, space, segments, question);
      for (const [query, hits] of (found ?? []).entries()) {
        const unit = vectors.slice(query * width, (query + 1) * width);
        scaleToUnit(unit);
        const expected = Array.from({ length: count }, (_, slot) => slot)
          .filter((slot) => kept[slot])
          .map((slot) => ({ id: idOf(slot), cosine: toProduct(unit, rowOf(slot)) }))
          .sort((a, b) => b.cosine - a.cosine || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
          .slice(0, k);
        t.deepEqual(hits, expected, `seed ${seed}, k ${k}, query ${query}`);
      }
    }
  }
  await graph.dispose();
});

test("a search that nobody waits for is given up", async (t) => {
  const graph = await openNearestGraph(1);
  const { values, segments } = createRows(1);
  const space = { width, idOf: String, rowOf: (slot: number) => values.subarray(slot * width, (slot + 1) * width) };
  let asked = 0;
  const isGone = (): boolean => ++asked > 2;
  const vectors = randomValues(width, 1);
  t.is(await findNearest(graph, space, segments, { vectors, k: 1, minCosine: -2, isGone }), undefined);
  t.is(asked, 3);
  // All products of the first pass are made; what is left is to look at each query.
  let products = 0;
  const counting = {
    ...graph,
    best: (...question: Parameters<typeof graph.best>) => {
      products++;
      return graph.best(...question);
    },
  };
  const late = {
    vectors: randomValues(50 * width, 1),
    k: 1,
    minCosine: -2,
    isGone: () => products === segments.length,
  };
  t.is(await findNearest(counting, space, segments, late), undefined);
  await graph.dispose();
});

function toProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += (a[i] as number) * (b[i] as number);
  return Math.min(1, Math.max(-1, sum));
}

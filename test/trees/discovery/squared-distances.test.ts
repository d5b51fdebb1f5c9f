import test from "ava";
import { Random } from "../../../src/linalg/random.js";
import { centre, toSquaredDistances, type VectorTable } from "../../../src/trees/discovery/squared-distances.js";

function toTable(count: number, width: number, offset = 0): VectorTable {
  return { count, width, values: new Random(count).spread(count * width, 1).map((value) => value + offset) };
}

function squareOf({ width, values }: VectorTable, i: number, j: number): number {
  let sum = 0;
  for (let at = 0; at < width; at++) sum += ((values[i * width + at] ?? 0) - (values[j * width + at] ?? 0)) ** 2;
  return sum;
}

test("distances by one product are those of all pairs, over the edges of blocks", async (t) => {
  for (const count of [1, 2, 512, 600]) {
    const table = toTable(count, 17);
    const distances = await toSquaredDistances(table);
    t.is(distances.count, count);
    for (let i = 0; i < count; i += 37) {
      for (let j = i + 1; j < count; j += 29) {
        const found = distances.get(i, j);
        t.true(Math.abs(found - squareOf(table, i, j)) < 1e-5 * squareOf(table, i, j));
      }
    }
  }
});

test("vectors far from the origin keep their digits once their mean is taken away", async (t) => {
  const table = toTable(40, 16, 1000);
  const chosen = Int32Array.from({ length: 20 }, (_, at) => 2 * at);
  const distances = await toSquaredDistances(centre(table, chosen));
  const expected = squareOf(table, 6, 14);
  t.true(Math.abs(distances.get(3, 7) - expected) < 1e-4 * expected);
});

test("a signal ends the product", async (t) => {
  await t.throwsAsync(toSquaredDistances(toTable(4, 2), { signal: AbortSignal.abort(new Error("enough")) }), {
    message: "enough",
  });
});

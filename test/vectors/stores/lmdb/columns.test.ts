import test from "ava";
import fc from "fast-check";
import type { Filter } from "../../../../src/vectors/filter.js";
import { matchFilter } from "../../../../src/vectors/match-filter.js";
import { createColumns } from "../../../../src/vectors/stores/lmdb/columns.js";
import { toRecord } from "../../../../src/vectors/to-record.js";
import { randomFilter, randomRecords } from "../../../helpers/random-filters.js";
import { createRecord } from "../../../helpers/vector-records.js";

test("columns hold a filter for the records for which it holds", async (t) => {
  const [sample = []] = fc.sample(randomRecords, { numRuns: 1, seed: 2 });
  const records = sample.map((record) => toRecord(record, undefined, 1));
  const columns = createColumns();
  await fc.assert(
    fc.asyncProperty(randomFilter, async (filter) => {
      columns.add(columns.missing(filter), records.length, records.entries());
      const matched = await columns.match(filter, records.length, () => false);
      t.deepEqual(
        [...(matched ?? [])],
        records.map((record) => Number(matchFilter(filter, record))),
      );
    }),
    { numRuns: 300 },
  );
});

const slotEnd = 100_000;
const conditions: Filter[] = Array.from({ length: 100 }, (_, value) => ({ field: "meta.a", op: "eq", value }));

function createFilled() {
  const columns = createColumns();
  const record = toRecord(createRecord("a", 1, { metadata: { a: 99 } }), undefined, 1);
  columns.add(["meta.a"], slotEnd, [[slotEnd - 1, record]]);
  return columns;
}

test("many conditions take no array each, and the thread hears its messages between them", async (t) => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let asked = 0;
  let heard = 0;
  const timer = setInterval(() => heard++, 1);
  const filter = { or: conditions.map((one) => ({ and: [one, { not: { not: one } }] })) };
  const matched = await createFilled().match(filter, slotEnd, () => {
    if (asked++ % 20 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    return false;
  });
  clearInterval(timer);
  t.deepEqual([matched?.at(0), matched?.at(-1)], [0, 1]);
  t.true(most < 20 * slotEnd, `${most} bytes`);
  t.true(heard > 0);
});

test("a filter for which nobody waits any more is given up", async (t) => {
  let asked = 0;
  t.is(await createFilled().match({ or: conditions }, slotEnd, () => ++asked > 2), undefined);
  t.is(asked, 3);
});

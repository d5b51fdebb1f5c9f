import test from "ava";
import { openDatabase } from "../../../../src/vectors/stores/lmdb/database.js";
import { openSlots } from "../../../../src/vectors/stores/lmdb/slots.js";
import type { StoredSpace } from "../../../../src/vectors/stores/lmdb/space-table.js";
import { createTemporaryFolder } from "../../../helpers/temporary-folder.js";
import { createSpace } from "../../../helpers/vector-records.js";

const space: StoredSpace = { ...createSpace("one"), number: 3, state: "serving", count: 0, slotEnd: 500 };

test("free slots are looked for only when one is taken, and few of them for one", async (t) => {
  const { root, tables } = openDatabase(await createTemporaryFolder(t));
  t.teardown(() => root.close());
  const { free } = tables;
  const getKeys = free.getKeys.bind(free);
  const limits: (number | undefined)[] = [];
  free.getKeys = (options) => {
    limits.push(options?.limit);
    return getKeys(options);
  };
  root.transactionSync(() => {
    for (const number of [2, 4]) openSlots(tables, { ...space, number }).give(7);
    const slots = openSlots(tables, space);
    for (let slot = 499; slot >= 0; slot--) slots.give(slot);
    t.deepEqual(limits, [], "giving slots back looks for none");
  });
  root.transactionSync(() => {
    t.is(openSlots(tables, space).take(), 0);
    t.true((limits[0] ?? Number.POSITIVE_INFINITY) < 20);
  });
  root.transactionSync(() => {
    const slots = openSlots(tables, { ...space, count: 1 });
    const taken = Array.from({ length: 502 }, () => slots.take());
    t.deepEqual(
      taken,
      Array.from({ length: 502 }, (_, index) => index + 1),
    );
    t.is(slots.end, 503);
  });
  root.resetReadTxn();
  t.is(free.getKeysCount(), 2, "those of other spaces stay free");
});

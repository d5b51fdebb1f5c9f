import test from "ava";
import { openLmdbStore } from "../../../../src/vectors/stores/lmdb.js";
import { createTemporaryFolder } from "../../../helpers/temporary-folder.js";
import { createRecord, createSpace } from "../../../helpers/vector-records.js";

test("the thread that searches starts with the store or, where no search is expected, with the first one", async (t) => {
  const folder = await createTemporaryFolder(t);
  const space = createSpace("one");
  const { vector } = createRecord("a", 1);
  let started = 0;
  const count = (): void => {
    started++;
  };
  process.on("worker", count);
  t.teardown(() => process.off("worker", count));
  const store = await openLmdbStore(folder, { threads: 1, willSearch: false });
  await store.ensureSpace(space);
  await store.upsert(space.spaceId, [createRecord("a", 1)]);
  t.is(started, 1);
  await store.close();

  started = 0;
  const later = await openLmdbStore(folder, { threads: 1, willSearch: false });
  t.is((await later.list(space.spaceId, { limit: 10 })).length, 1);
  t.is(started, 1);
  const [[hit] = []] = await later.search(space.spaceId, { vectors: vector, k: 1 });
  t.is(hit?.id, "a");
  t.is(started, 2);
  await later.close();

  started = 0;
  const ready = await openLmdbStore(folder, { threads: 1 });
  t.is(started, 2);
  await ready.close();
});

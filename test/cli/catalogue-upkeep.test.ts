import { join } from "node:path";
import test from "ava";
import { openLmdbStore } from "../../src/vectors/stores/lmdb.js";
import { toNewRecord, width } from "../helpers/retrieval-zoo.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { runInProcess } from "./run-in-process.js";

const spaceId = "a".repeat(64);

async function idsIn(folder: string): Promise<string[]> {
  const store = await openLmdbStore(folder, { threads: 1 });
  const records = await store.list(spaceId, { limit: 10 });
  await store.close();
  return records.map(({ id }) => id);
}

test("a store is compacted, copied while it is open, and brought back elsewhere", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [place, copy, back] = ["store", "copy", "back"].map((name) => join(folder, name)) as [string, string, string];
  const store = await openLmdbStore(place, { threads: 1 });
  t.teardown(() => store.close());
  await store.ensureSpace({ spaceId, expertName: "one", width });
  await store.upsert(spaceId, [toNewRecord("a", 1), toNewRecord("b", 2)]);
  await store.delete(["b"]);
  const local = ["--local", "--store", place];
  const compacted = await runInProcess(["catalogue", "compact", ...local]);
  t.deepEqual([compacted.code, compacted.stderr], [0, `lmdb at ${place}: compacted\n`]);
  const copied = await runInProcess(["catalogue", "snapshot", copy, ...local]);
  t.deepEqual([copied.code, copied.stderr], [0, `lmdb at ${place}: copied to ${copy}\n`]);
  await store.upsert(spaceId, [toNewRecord("c", 3)]);
  const restored = await runInProcess(["catalogue", "restore", copy, back]);
  t.deepEqual([restored.code, restored.stderr], [0, `${copy}: restored to ${back}\n`]);
  t.deepEqual(await idsIn(back), ["a"]);
  t.deepEqual(await idsIn(copy), ["a"]);

  const again = await runInProcess(["catalogue", "restore", copy, back]);
  t.is(again.code, 3);
  t.regex(again.stderr, /is not empty; name a new folder/);
});

test("upkeep says what it cannot work on, and makes no store", async (t) => {
  const folder = await createTemporaryFolder(t);
  const none = join(folder, "none");
  for (const [words, code, message] of [
    [["compact"], 2, /works on a store and not through a server; give --local/],
    [["compact", "--local", "--store", none], 3, /is no store: it has no file catalogue\.mdb/],
    [["snapshot", join(folder, "x"), "--local", "--store", none], 3, /is no store/],
    [["snapshot", join(folder, "x"), "--local", "--store", "postgres://u@h/d"], 2, /pg_dump/],
    [["restore", none, join(folder, "x")], 3, /is no snapshot/],
    [["restore", "postgres://u@h/d", join(folder, "x")], 2, /pg_restore/],
  ] as const) {
    const found = await runInProcess(["catalogue", ...words]);
    t.is(found.code, code, found.stderr);
    t.regex(found.stderr, message);
  }
});

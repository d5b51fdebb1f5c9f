import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { open } from "lmdb";
import { openDatabase } from "../../../src/vectors/stores/lmdb/database.js";
import { restoreSnapshot } from "../../../src/vectors/stores/lmdb/snapshot.js";
import { upsertRecords } from "../../../src/vectors/stores/lmdb/write-records.js";
import { dropSpace, ensureSpace } from "../../../src/vectors/stores/lmdb/write-spaces.js";
import { type LmdbStore, openLmdbStore } from "../../../src/vectors/stores/lmdb.js";
import { testVectorStore } from "../../contracts/vector-store.js";
import { assertRefused } from "../../helpers/assert-refused.js";
import { randomValues } from "../../helpers/random.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { until } from "../../helpers/until.js";
import { createRecord, createRecords, createSpace, toHash } from "../../helpers/vector-records.js";

const space = createSpace("one");
const { spaceId } = space;

// Opening starts two threads, so that one store, emptied after each test, serves all: the older it is, the harder.
const shared = mkdtemp(join(tmpdir(), "probestream-test-")).then(async (folder) => {
  const store = await openLmdbStore(folder, { threads: 1 });
  return { folder, store };
});
test.after.always(async () => {
  const { folder, store } = await shared;
  await store.close();
  await rm(folder, { recursive: true });
});

testVectorStore({
  name: "lmdb",
  create: async (t) => {
    const { store } = await shared;
    t.teardown(async () => {
      for (const one of await store.listSpaces()) await store.dropSpace(one.spaceId);
    });
    return store;
  },
  tolerance: 1e-6,
});

async function openStore(t: ExecutionContext, folder: string): Promise<LmdbStore> {
  const store = await openLmdbStore(folder, { threads: 1 });
  t.teardown(() => store.close());
  return store;
}

async function findIds(store: LmdbStore, seed: number, k: number): Promise<string[]> {
  const [hits = []] = await store.search(spaceId, { vectors: createRecord("q", seed).vector, k });
  return hits.map(({ id }) => id);
}

test("a catalogue is there again when its folder is opened again", async (t) => {
  const folder = join(await createTemporaryFolder(t), "not", "there.yet");
  const first = await openLmdbStore(folder);
  t.is(first.description, `lmdb at ${folder}`);
  await first.ensureSpace(space);
  const records = createRecords(200, "m", { metadata: { a: 1 }, createdMs: 5, updatedMs: 6 });
  await first.upsert(spaceId, records);
  await first.delete(["m010", "m011"]);
  await first.close();
  const unavailable = { reason: "SHUTTING_DOWN", message: /was closed/ } as const;
  await assertRefused(t, () => first.listSpaces(), unavailable);
  const again = await openStore(t, folder);
  t.is((await again.countSpaces())[0]?.count, 198);
  t.deepEqual((await again.list(spaceId, { limit: 3 })) as never, records.slice(0, 3));
  t.deepEqual(await findIds(again, 1100, 1), ["m100"]);
  t.is((await findIds(again, 1010, 10_000)).length, 198);
});

test("what was begun before a store is closed is finished", async (t) => {
  const folder = await createTemporaryFolder(t);
  // Its search has yet to load the runtime, which takes seconds on a busy machine.
  const first = await openLmdbStore(folder, { threads: 1, drainMs: 60_000 });
  await first.ensureSpace(space);
  const writes = createRecords(20).map((record) => first.upsert(spaceId, [record]));
  const found = first.search(spaceId, { vectors: createRecord("q", 1).vector, k: 1 });
  await first.close();
  await Promise.all(writes);
  await found;
  t.is((await (await openStore(t, folder)).countSpaces())[0]?.count, 20);
});

test("a search that is not done when a store is closed is given up, and ends its thread in peace", async (t) => {
  const folder = await createTemporaryFolder(t);
  const store = await openLmdbStore(folder, { threads: 1, drainMs: 100 });
  await store.ensureSpace(space);
  await store.upsert(spaceId, createRecords(2000));
  t.is((await findIds(store, 1, 1)).length, 1);
  // All records are ordered for each query: half a minute.
  const found = store.search(spaceId, { vectors: randomValues(8 * 20_000, 1), k: 2000 });
  const refused = assertRefused(t, () => found, { reason: "SHUTTING_DOWN", message: /closed during the search/ });
  const begun = Date.now();
  await store.close();
  await refused;
  t.true(Date.now() - begun < 10_000);
});

test("what another process has acknowledged is found", async (t) => {
  const folder = await createTemporaryFolder(t);
  const program = fileURLToPath(new URL("../../helpers/store-child.js", import.meta.url));
  const child = spawn(process.execPath, [program, folder], { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  t.is((await lines.next()).value, "ready");
  const store = await openStore(t, folder);
  t.deepEqual(await findIds(store, 0, 5), []);
  const seen: string[] = [];
  for (const [seed, id] of ["a", "b", "c", "b"].entries()) {
    child.stdin.write(`${id}\n`);
    t.is((await lines.next()).value, `done ${id}`);
    seen.push(id);
    t.deepEqual((await findIds(store, seed, 5))[0], id);
    t.deepEqual((await findIds(store, seed, 5)).sort(), [...new Set(seen)].sort());
  }
  child.kill("SIGKILL");
  await store.upsert(spaceId, [createRecord("after", 9)]);
  t.deepEqual((await findIds(store, 9, 1))[0], "after", "one that was killed stops nobody");
});

test("a reader that fell behind a log that was cut short reads everything anew", async (t) => {
  const folder = await createTemporaryFolder(t);
  const [writer, reader] = [await openStore(t, folder), await openStore(t, folder)];
  await writer.ensureSpace(space);
  await writer.upsert(spaceId, createRecords(5));
  t.is((await findIds(reader, 1, 100)).length, 5);
  for (let round = 0; round < 4; round++) {
    await writer.upsert(
      spaceId,
      Array.from({ length: 5000 }, (_, index) => createRecord(`m${index % 4000}`, round * 5000 + index)),
    );
  }
  await writer.delete(["model-000"]);
  await writer.compact();
  t.deepEqual(await findIds(reader, 15_000 + 4999, 1), ["m999"]);
  t.is((await findIds(reader, 1, 10_000)).length, 4004);
});

test("a space that was compacted takes no more slots than it has records", async (t) => {
  const folder = await createTemporaryFolder(t);
  const store = await openStore(t, folder);
  await store.ensureSpace(space);
  await store.upsert(spaceId, createRecords(500));
  await store.delete(createRecords(450).map(({ id }) => id));
  t.is((await findIds(store, 1, 1000)).length, 50);
  await store.compact();
  t.is((await findIds(store, 1, 1000)).length, 50);
  const { root, tables } = openDatabase(folder);
  root.resetReadTxn();
  const { slotEnd, count } = JSON.parse(String(tables.spaces.getBinary(Buffer.from(spaceId))));
  t.deepEqual([slotEnd, count, tables.free.getKeysCount()], [50, 50, 0]);
  await root.close();
});

test("writes to another space come between the steps in which a large one is dropped", async (t) => {
  const store = await openStore(t, await createTemporaryFolder(t));
  const other = createSpace("other");
  await store.ensureSpace(space);
  await store.ensureSpace(other);
  await store.upsert(spaceId, createRecords(5000));
  const order: string[] = [];
  const dropped = store.dropSpace(spaceId).then(() => order.push("dropped"));
  const written = store.upsert(other.spaceId, [createRecord("m", 1)]).then(() => order.push("written"));
  await Promise.all([dropped, written]);
  t.deepEqual(order, ["written", "dropped"]);
});

test("what is left of a space whose process ended while it was dropped is cleared", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { root, tables } = openDatabase(folder);
  t.teardown(() => root.close());
  const kept = createSpace("kept");
  root.transactionSync(() => {
    for (const one of [space, kept]) {
      ensureSpace(tables, one, false);
      const records = createRecords(2500, "m", { weightsHash: toHash(1), metadata: { a: 1 } });
      upsertRecords(tables, one.spaceId, records.slice(one === kept ? 2490 : 0));
    }
    dropSpace(tables, spaceId);
  });
  const store = await openStore(t, folder);
  const count = (): number[] => {
    root.resetReadTxn();
    return [tables.records, tables.vectors, tables.weights, tables.fields].map((table) => table.getKeysCount());
  };
  await until(() => count().every((keys) => keys <= 10), "nothing is left");
  t.deepEqual(count(), [10, 10, 10, (await store.fields(kept.spaceId)).size]);
  t.is((await store.list(kept.spaceId, { limit: 100 })).length, 10);
});

test("a snapshot is a whole store, made beside writes, and comes back in another folder", async (t) => {
  const folder = await createTemporaryFolder(t);
  const store = await openStore(t, join(folder, "store"));
  await store.ensureSpace(space);
  const records = createRecords(300, "m", { createdMs: 1, updatedMs: 1 });
  await store.upsert(spaceId, records);
  const snapshot = join(folder, "copies", "monday");
  const writes = createRecords(30, "n").map((record) => store.upsert(spaceId, [record]));
  await Promise.all([store.snapshot(snapshot), ...writes]);
  await store.delete(["m000"]);
  await mkdir(join(folder, "restored"));
  await restoreSnapshot(snapshot, join(folder, "restored"));
  for (const name of ["restored", "copies/monday"]) {
    const copy = await openStore(t, join(folder, name));
    const listed = await copy.list(spaceId, { limit: 1000 });
    t.deepEqual(listed.slice(0, 300) as never, records);
    t.is((await findIds(copy, 1000, 10_000)).length, listed.length);
    await copy.upsert(spaceId, [createRecord("later", 1)]);
  }
  t.deepEqual((await readdir(folder)).sort(), ["copies", "restored", "store"], "nothing is left over");
  const taken = { reason: "FORMAT_REFUSED", message: /is not empty/ } as const;
  await assertRefused(t, () => store.snapshot(snapshot), taken);
  await assertRefused(t, () => restoreSnapshot(snapshot, join(folder, "store")), taken);
  const none = { reason: "FILE_NOT_FOUND", message: /is no snapshot/ } as const;
  await assertRefused(t, () => restoreSnapshot(join(folder, "none"), join(folder, "x")), none);
  t.is((await store.list(spaceId, { limit: 1 }))[0]?.id, "m001");
});

test("a folder of another version or another program is refused", async (t) => {
  const folder = await createTemporaryFolder(t);
  const { root, tables } = openDatabase(join(folder, "newer"));
  await tables.info.put(Buffer.from("format"), Buffer.from("7"));
  await root.close();
  const newer = {
    reason: "FORMAT_REFUSED",
    message: /holds a catalogue of format 7; this version reads format 1/,
  } as const;
  await assertRefused(t, () => openLmdbStore(join(folder, "newer")), newer);

  await mkdir(join(folder, "other"));
  const other = open({ path: join(folder, "other", "catalogue.mdb"), noSubdir: true });
  await other.put("a", 1);
  await other.close();
  await assertRefused(t, () => openLmdbStore(join(folder, "other")), {
    kind: "precondition",
    reason: "FORMAT_REFUSED",
    message: /of another program/,
  });

  await mkdir(join(folder, "text"));
  await writeFile(join(folder, "text", "catalogue.mdb"), "x".repeat(40_000));
  await writeFile(join(folder, "file"), "");
  await mkdir(join(folder, "short"));
  await writeFile(join(folder, "short", "catalogue.mdb"), "x");
  await mkdir(join(folder, "folder", "catalogue.mdb"), { recursive: true });
  for (const name of ["text", "short", "folder", "file"]) {
    const expected = { reason: "FORMAT_REFUSED", message: /is no folder of a catalogue/ } as const;
    await assertRefused(t, () => openLmdbStore(join(folder, name)), expected);
  }
  t.is((await stat(join(folder, "text", "catalogue.mdb"))).size, 40_000);
});

import test from "ava";
import { assertRefused } from "../helpers/assert-refused.js";
import { createRecord, createRecords, createSpace, toHash } from "../helpers/vector-records.js";
import { type VectorStoreContract, withSpace } from "./vector-store-contract.js";

/** Registers the tests of how records change, many at once too. */
export function testVectorChanges(contract: VectorStoreContract): void {
  const { name } = contract;

  test.serial(`the ${name} store changes a model's metadata in all its spaces at once`, async (t) => {
    const store = await contract.create(t);
    const spaces = [createSpace("one"), createSpace("two", 3), createSpace("three")];
    for (const space of spaces) await store.ensureSpace(space);
    const metadata = { keep: 1, change: "old", drop: true };
    const record = createRecord("m", 1, { metadata, claims: { change: "claim" }, createdMs: 1, updatedMs: 2 });
    const narrow = createRecord("m", 1, { width: 3, metadata: { own: 2 }, createdMs: 3, updatedMs: 4 });
    const other = createRecord("n", 2, { metadata, createdMs: 1, updatedMs: 2 });
    await store.upsert(toHash("one"), [record, other]);
    await store.upsert(toHash("two"), [narrow]);
    t.true(await store.updateMetadata("m", { change: 5, added: "🎨", drop: null, none: null }));
    const [one] = await store.get(toHash("one"), ["m"]);
    const [two] = await store.get(toHash("two"), ["m"]);
    t.deepEqual(one?.metadata, { keep: 1, change: 5, added: "🎨" });
    t.deepEqual(two?.metadata, { own: 2, change: 5, added: "🎨" });
    t.deepEqual({ ...one, metadata, updatedMs: 2 }, record as never, "all else stays");
    t.true((one?.updatedMs ?? 0) > 2 && one?.updatedMs === two?.updatedMs);
    t.deepEqual((await store.get(toHash("one"), ["n"]))[0], other as never);
    t.false(await store.updateMetadata("none", { a: 1 }));
    const wrong = { reason: "FIELD_INVALID", message: /NaN/ } as const;
    await assertRefused(t, () => store.updateMetadata("m", { change: Number.NaN }), wrong);
    const half = "x".repeat(40_000);
    await store.updateMetadata("m", { half });
    const tooMuch = { reason: "LIMIT_EXCEEDED", message: /at most 65536/ } as const;
    await assertRefused(t, () => store.updateMetadata("m", { other: half }), tooMuch);
    t.deepEqual((await store.get(toHash("two"), ["m"]))[0]?.metadata, { own: 2, change: 5, added: "🎨", half });
  });

  test.serial(
    `the ${name} store deletes models from one space or from all, and counts those that were there`,
    async (t) => {
      const store = await contract.create(t);
      for (const space of ["one", "two"]) {
        await store.ensureSpace(createSpace(space));
        await store.upsert(toHash(space), createRecords(6));
      }
      t.is(await store.delete(["model-000", "none", "model-000"], toHash("one")), 1);
      t.is(await store.delete(["model-000", "model-001", "none"]), 2, "each once, in however many spaces it is");
      t.is(await store.delete(["model-001"]), 0);
      t.is(await store.delete([]), 0);
      const counts = (await store.countSpaces()).map(({ expertName, count }) => [expertName, count]);
      t.deepEqual(counts, [
        ["one", 4],
        ["two", 4],
      ]);
      const vectors = createRecord("q", 1001).vector;
      for (const space of ["one", "two"]) {
        const [hits] = await store.search(toHash(space), { vectors, k: 10, exact: true });
        t.deepEqual(hits?.map(({ id }) => id).sort(), ["model-002", "model-003", "model-004", "model-005"]);
      }
      await store.upsert(toHash("one"), [createRecord("model-001", 1001, { createdMs: 9 })]);
      const [hits] = await store.search(toHash("one"), { vectors, k: 1, exact: true });
      t.is(hits?.[0]?.id, "model-001", "one that is written again is found again");
    },
  );

  test.serial(`the ${name} store takes many calls at once`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const batches = Array.from({ length: 16 }, (_, batch) =>
      createRecords(20, `batch-${String(batch).padStart(2, "0")}-`),
    );
    const vectors = createRecord("q", 1).vector;
    const seen: number[] = [];
    const search = async (): Promise<void> => {
      const [hits = []] = await store.search(spaceId, { vectors, k: 1000, exact: true });
      seen.push(hits.length);
      const perBatch = new Map<string, number>();
      for (const { id } of hits) perBatch.set(id.slice(0, 8), (perBatch.get(id.slice(0, 8)) ?? 0) + 1);
      t.true(
        [...perBatch.values()].every((count) => count === 20),
        "a batch is found whole or not at all",
      );
    };
    await Promise.all(batches.flatMap((batch) => [store.upsert(spaceId, batch), search()]));
    await search();
    t.is(seen.at(-1), 320);
    t.is((await store.countSpaces())[0]?.count, 320);
    const patches = Array.from({ length: 10 }, (_, index) =>
      store.updateMetadata("batch-00-000", { [`f${index}`]: index }),
    );
    t.true((await Promise.all(patches)).every(Boolean));
    t.is(Object.keys((await store.get(spaceId, ["batch-00-000"]))[0]?.metadata ?? {}).length, 10, "no change is lost");
  });

  test.serial(`the ${name} store compacts beside reads and writes, and everything stays`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const kept = createRecords(60, "kept-", { createdMs: 1, updatedMs: 1 });
    await store.upsert(spaceId, [...createRecords(60, "gone-"), ...kept]);
    await store.delete(createRecords(60, "gone-").map(({ id }) => id));
    const added = createRecords(40, "late-", { createdMs: 2, updatedMs: 2 });
    const writes = added.map((record) => store.upsert(spaceId, [record]));
    await Promise.all([store.compact(), ...writes, store.list(spaceId, { limit: 10 }), store.compact()]);
    t.deepEqual(await store.list(spaceId, { limit: 1000 }), [...kept, ...added] as never);
    for (const record of [kept[0], kept[59], added[39]]) {
      const { id, vector } = record ?? createRecord("none", 0);
      const [hits] = await store.search(spaceId, { vectors: vector, k: 2, exact: true });
      t.is(hits?.[0]?.cosine.toFixed(5), "1.00000");
      t.true(hits?.some((hit) => hit.id === id));
    }
  });

  test.serial(`the ${name} store keeps what is known of a model where it is asked to`, async (t) => {
    const store = await contract.create(t);
    const [one, two] = [toHash("one"), toHash("two")];
    for (const space of ["one", "two"]) await store.ensureSpace(createSpace(space));
    const keepKnown = { maxMetadataBytes: 100 };
    const claims = { base_model: "claimed" };
    const first = createRecord("m", 1, { metadata: { a: 1, b: 1 }, claims, base: "said", createdMs: 5, updatedMs: 5 });
    await store.upsert(one, [first], { keepKnown });
    t.deepEqual(await store.get(one, ["m"]), [first] as never, "nothing is known of it yet");
    const later = createRecord("m", 2, { metadata: { b: 2 }, claims, base: "claimed" });
    const rest = { metadata: { a: 1, b: 2 }, base: "said", createdMs: 5 };
    await store.upsert(one, [later, createRecord("n", 3)], { keepKnown });
    const [again, other] = await store.get(one, ["m", "n"]);
    t.like(again, { ...rest, vector: later.vector });
    t.true((again?.updatedMs ?? 0) > 5);
    t.like(other, { metadata: {}, base: "" });
    await store.upsert(two, [later, createRecord("m", 4, { metadata: { c: 3 }, base: "other" })], { keepKnown });
    const [elsewhere] = await store.get(two, ["m"]);
    t.like(elsewhere, { metadata: { a: 1, b: 2, c: 3 }, base: "other", createdMs: 5 }, "also of another space");
    const long = createRecord("m", 5, { metadata: { long: "x".repeat(90) } });
    const tooMuch = {
      kind: "invalid-input",
      reason: "LIMIT_EXCEEDED",
      message: /with what the catalogue has/,
    } as const;
    await assertRefused(t, () => store.upsert(one, [createRecord("n", 6), long], { keepKnown }), tooMuch);
    t.deepEqual((await store.get(one, ["n"]))[0], other, "all records or none");
    await store.upsert(one, [later]);
    t.like(
      (await store.get(one, ["m"]))[0],
      { metadata: { b: 2 }, base: "claimed" },
      "where it is not asked, none stays",
    );
  });

  test.serial(`the ${name} store loses no change of metadata while the model is written again`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const keepKnown = { maxMetadataBytes: 10_000 };
    const ids = Array.from({ length: 8 }, (_, index) => `model-${index}`);
    const records = ids.map((id, index) => createRecord(id, index));
    await store.upsert(spaceId, records);
    const second = createSpace("two");
    await store.ensureSpace(second);
    const rounds = 12;
    const writes = Array.from({ length: rounds }, async (_, round) => {
      const mine = records.map((record) => ({ ...record, metadata: { [`w${round}`]: round } }));
      await Promise.all([
        store.upsert(round % 2 === 0 ? spaceId : second.spaceId, mine, { keepKnown }),
        ...ids.map(async (id) => t.true(await store.updateMetadata(id, { [`u${round}`]: round }))),
      ]);
    });
    await Promise.all(writes);
    for (const space of [spaceId, second.spaceId]) {
      for (const record of await store.get(space, ids)) {
        const place = `${record?.id} in ${space === spaceId ? "the first" : "the second"} space`;
        const fields = Object.keys(record?.metadata ?? {});
        t.is(fields.filter((field) => field.startsWith("u")).length, rounds, place);
        const own = Array.from({ length: rounds }, (_, round) => round).filter(
          (round) => (round % 2 === 0) === (space === spaceId),
        );
        for (const round of own) t.true(fields.includes(`w${round}`), `w${round}, ${place}`);
      }
    }
  });
}

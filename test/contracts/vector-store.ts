import test, { type ExecutionContext } from "ava";
import type { SpaceSpec, VectorStore } from "../../src/vectors/vector-store.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createRecord, createRecords, createSpace, toHash } from "../helpers/vector-records.js";
import { testVectorFilters } from "./vector-store-filters.js";
import { testVectorSearch } from "./vector-store-search.js";

/** What a store is held to. */
export interface VectorStoreContract {
  /** Its name, for the tests' titles. */
  readonly name: string;
  /** Gives a store without spaces. Tests run one after another, so that all may have the same. */
  create(t: ExecutionContext): Promise<VectorStore>;
  /** Error of cosines, absolute: what float32 sums at unit length come to. */
  readonly tolerance: number;
  /** Random filters that are tried. Default 300. */
  readonly filterCount?: number;
}

/** Registers the tests that every store of vectors has to pass. */
export function testVectorStore(contract: VectorStoreContract): void {
  testSpaces(contract);
  testRecords(contract);
  testChanges(contract);
  testVectorSearch(contract);
  testVectorFilters(contract);
}

/** A store with a space that serves. */
async function withSpace(
  t: ExecutionContext,
  { create }: VectorStoreContract,
  space: SpaceSpec = createSpace("one"),
): Promise<{ store: VectorStore; spaceId: string }> {
  const store = await create(t);
  await store.ensureSpace(space);
  return { store, spaceId: space.spaceId };
}

const missing = { kind: "not-found", reason: "SPACE_NOT_FOUND", message: /^the store has no space / } as const;

function testSpaces({ name, create }: VectorStoreContract): void {
  test.serial(`the ${name} store makes a space once and lists spaces by expert name and id`, async (t) => {
    const store = await create(t);
    t.deepEqual(await store.listSpaces(), []);
    const made = await store.ensureSpace(createSpace("b"));
    t.deepEqual(made, { ...createSpace("b"), state: "serving" });
    t.deepEqual(await store.listSpaces(), [{ ...made, isEmpty: true }]);
    t.deepEqual(await store.countSpaces(), [{ ...made, count: 0, indexed: 0 }]);
    await store.upsert(made.spaceId, [createRecord("m", 1)]);
    const again = await store.ensureSpace(createSpace("b"), { fill: true });
    t.deepEqual(again, made, "it stays as it is");
    t.deepEqual(await store.listSpaces(), [{ ...made, isEmpty: false }]);
    t.like((await store.countSpaces())[0], { ...made, count: 1 });
    const twin = { ...createSpace("another"), expertName: "b" };
    for (const space of [createSpace("Z"), createSpace("🎨"), createSpace("\uffff"), twin])
      await store.ensureSpace(space);
    const ids = [createSpace("b").spaceId, twin.spaceId].sort();
    const expected = [createSpace("Z").spaceId, ...ids, createSpace("\uffff").spaceId, createSpace("🎨").spaceId];
    t.deepEqual(
      (await store.listSpaces()).map(({ spaceId }) => spaceId),
      expected,
    );
    t.truthy(store.description);
  });

  test.serial(
    `the ${name} store refuses a space that is there with another width, and one that means nothing`,
    async (t) => {
      const store = await create(t);
      const space = createSpace("one", 8);
      await store.ensureSpace(space);
      const mismatch = { kind: "precondition", reason: "SPACE_MISMATCH", message: /8 numbers .* not 9/ } as const;
      await assertRefused(t, () => store.ensureSpace({ ...space, width: 9 }), mismatch);
      for (const wrong of [{ width: 0 }, { width: 1.5 }, { spaceId: "no hash" }, { spaceId: "" }]) {
        const expected = { reason: "FIELD_INVALID", message: /^the (width|space id) is / } as const;
        await assertRefused(t, () => store.ensureSpace({ ...createSpace("two"), ...wrong }), expected);
      }
      t.is((await store.listSpaces()).length, 1);
    },
  );

  test.serial(`the ${name} store switches spaces all at once, or not at all`, async (t) => {
    const store = await create(t);
    const [old, next] = [createSpace("old"), createSpace("next")];
    await store.ensureSpace(old);
    t.is((await store.ensureSpace(next, { fill: true })).state, "filling");
    await store.upsert(next.spaceId, [createRecord("m", 1)]);
    const states = async () => Object.fromEntries((await store.listSpaces()).map((one) => [one.expertName, one.state]));
    await assertRefused(t, () => store.switchSpaces({ serve: [next.spaceId], retire: [toHash("none")] }), missing);
    t.deepEqual(await states(), { old: "serving", next: "filling" });
    const both = { serve: [next.spaceId], retire: [next.spaceId] };
    await assertRefused(t, () => store.switchSpaces(both), { reason: "FIELD_INVALID", message: /name it once/ });
    await store.switchSpaces({ serve: [next.spaceId], retire: [old.spaceId] });
    t.deepEqual(await states(), { old: "retired", next: "serving" });
    await store.switchSpaces({ serve: [old.spaceId], retire: [next.spaceId] });
    t.deepEqual(await states(), { old: "serving", next: "retired" }, "and back");
  });

  test.serial(`the ${name} store drops a space with its records`, async (t) => {
    const store = await create(t);
    const [one, two] = [createSpace("one"), createSpace("two")];
    for (const space of [one, two]) {
      await store.ensureSpace(space);
      await store.upsert(space.spaceId, createRecords(20, "model-", { metadata: { [space.expertName]: 1 } }));
    }
    await store.dropSpace(one.spaceId);
    t.deepEqual(
      (await store.countSpaces()).map(({ spaceId, count }) => [spaceId, count]),
      [[two.spaceId, 20]],
    );
    await store.ensureSpace({ ...one, width: 3 });
    t.deepEqual(await store.list(one.spaceId, { limit: 10 }), [], "one that is made again is empty");
    t.deepEqual([...(await store.fields(one.spaceId))], []);
    const asked = ["meta.one", "meta.two", "claim.two", "none", "meta.\0"];
    t.deepEqual([...(await store.hasFields(one.spaceId, asked))], []);
    t.deepEqual([...(await store.hasFields(two.spaceId, asked))], ["meta.two"]);
    t.deepEqual(await store.search(one.spaceId, { vectors: Float32Array.of(1, 2, 3), k: 5 }), [[]]);
    t.is((await store.list(two.spaceId, { limit: 100 })).length, 20);
  });

  test.serial(`the ${name} store names a space that it does not have`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    const id = toHash("none");
    const vectors = new Float32Array(8).fill(1);
    await assertRefused(t, () => store.dropSpace(id), missing);
    await assertRefused(t, () => store.upsert(id, [createRecord("m", 1)]), missing);
    await assertRefused(t, () => store.delete(["m"], id), missing);
    await assertRefused(t, () => store.get(id, ["m"]), missing);
    await assertRefused(t, () => store.list(id, { limit: 1 }), missing);
    await assertRefused(t, () => store.findByWeights(id, [toHash(1)]), missing);
    await assertRefused(t, () => store.search(id, { vectors, k: 1 }), missing);
    await assertRefused(t, () => store.fields(id), missing);
    await assertRefused(t, () => store.hasFields(id, ["meta.one"]), missing);
  });
}

function testRecords(contract: VectorStoreContract): void {
  const { name } = contract;

  test.serial(`the ${name} store gives records back as they were written`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const full = createRecord("a/b c", 1, {
      weightsHash: toHash(1),
      fileHash: toHash(2),
      tree: "tree of 木",
      base: "org/base",
      metadata: {
        name: "x",
        count: -1.5e-7,
        large: 2 ** 53,
        yes: true,
        no: false,
        empty: "",
        __proto__: null,
      } as never,
      claims: { "ss.tag'\"\\": '{"a": [1]}', 言: "\u0001\n\uffff🎨" },
      createdMs: 5,
      updatedMs: 1_700_000_000_123,
    });
    const bare = createRecord("b", 2, { createdMs: 0, updatedMs: 0 });
    await store.upsert(spaceId, [full, bare]);
    t.deepEqual(await store.get(spaceId, ["b", "none", "a/b c", "b"]), [bare, undefined, full, bare] as never);
    t.deepEqual(await store.list(spaceId, { limit: 5 }), [full, bare] as never);
    t.deepEqual(await store.get(spaceId, []), []);
    const plain = { ...full, vector: new Float32Array(0) };
    t.deepEqual(await store.get(spaceId, ["none", "a/b c"], { vectors: false }), [undefined, plain] as never);
  });

  test.serial(`the ${name} store keeps what it is given, whatever becomes of the caller's objects`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const record = createRecord("m", 1, { metadata: { a: 1 }, createdMs: 1, updatedMs: 1 });
    const whole = new Float32Array(24).fill(9);
    whole.set(record.vector, 8);
    const given = { ...record, vector: whole.subarray(8, 16) };
    const written = store.upsert(spaceId, [given]);
    whole.fill(0);
    await written;
    const [first] = await store.get(spaceId, ["m"]);
    t.deepEqual(first, record as never);
    first?.vector.fill(5);
    t.deepEqual((await store.get(spaceId, ["m"]))[0], record as never);
  });

  test.serial(`the ${name} store keeps the time a record was first written, unless it is told another`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const before = Date.now();
    await store.upsert(spaceId, [createRecord("m", 1)]);
    const after = Date.now();
    const read = async () => {
      const [record] = await store.get(spaceId, ["m"]);
      if (record === undefined) throw new Error("it is not there");
      return record;
    };
    const first = await read();
    // A store on another machine has another clock; a minute apart is no clock.
    t.true(first.createdMs >= before - 60_000 && first.createdMs <= after + 60_000);
    t.is(first.updatedMs, first.createdMs);
    await new Promise((resolve) => setTimeout(resolve, 3));
    await store.upsert(spaceId, [createRecord("m", 2, { metadata: { a: 1 } })]);
    const second = await read();
    t.is(second.createdMs, first.createdMs);
    t.true(second.updatedMs > first.updatedMs);
    t.deepEqual(second.vector, createRecord("m", 2).vector);
    t.deepEqual(second.metadata, { a: 1 });
    await store.upsert(spaceId, [createRecord("m", 3, { createdMs: 7, updatedMs: 8 })]);
    const third = await read();
    t.deepEqual([third.createdMs, third.updatedMs], [7, 8]);
    t.deepEqual(third.metadata, {}, "nothing of the replaced record stays");
  });

  test.serial(
    `the ${name} store writes all records of a call or none, and the last of those with one id`,
    async (t) => {
      const { store, spaceId } = await withSpace(t, contract);
      await store.upsert(spaceId, []);
      await store.upsert(spaceId, [createRecord("m", 1), createRecord("n", 2), createRecord("m", 3)]);
      t.deepEqual((await store.get(spaceId, ["m"]))[0]?.vector, createRecord("m", 3).vector);
      t.is((await store.countSpaces())[0]?.count, 2);
      const refusals = [
        { parts: { width: 7 }, reason: "SHAPE_MISMATCH", message: /has 7 numbers; .* have 8/ },
        { parts: { vector: new Float32Array(8) }, reason: "NON_FINITE", message: /all zeros/ },
        { parts: { vector: new Float32Array(8).fill(1).fill(Number.NaN, 3, 4) }, reason: "NON_FINITE", message: /NaN/ },
        {
          parts: { vector: new Float32Array(8).fill(Number.POSITIVE_INFINITY) },
          reason: "NON_FINITE",
          message: /infinite/,
        },
        { parts: { id: "" }, reason: "FIELD_INVALID", message: /is empty/ },
        { parts: { id: "a\0b" }, reason: "FIELD_INVALID", message: /NUL/ },
        { parts: { id: "\ud800" }, reason: "FIELD_INVALID", message: /surrogate/ },
        { parts: { id: "m".repeat(1025) }, reason: "LIMIT_EXCEEDED", message: /1025 .* 1024/ },
        { parts: { weightsHash: "ABC" }, reason: "FIELD_INVALID", message: /"ABC"/ },
        { parts: { metadata: { a: Number.NaN } }, reason: "FIELD_INVALID", message: /"a" .* NaN/ },
        { parts: { metadata: { a: "x".repeat(65_537) } }, reason: "LIMIT_EXCEEDED", message: /65536/ },
        { parts: { metadata: { "": 1 } }, reason: "FIELD_INVALID", message: /is empty/ },
        { parts: { createdMs: -1 }, reason: "FIELD_INVALID", message: /createdMs -1/ },
      ] as const;
      for (const { parts, ...expected } of refusals) {
        const records = [createRecord("before", 4), createRecord("bad", 5, parts), createRecord("m", 6)];
        await assertRefused(t, () => store.upsert(spaceId, records), expected);
      }
      t.deepEqual((await store.get(spaceId, ["m"]))[0]?.vector, createRecord("m", 3).vector);
      t.is((await store.countSpaces())[0]?.count, 2);
    },
  );

  test.serial(`the ${name} store lists ids by their UTF-8 bytes, page by page`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    const long = "語".repeat(1023);
    const ids = [
      " ",
      "A",
      "Z",
      "a",
      "a b",
      "aa",
      "b",
      "ä",
      "é",
      "語",
      `${long}a`,
      `${long}b`,
      "\ue000",
      "\uffff",
      "🎨",
    ];
    t.deepEqual(
      [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      ids,
    );
    await store.upsert(
      spaceId,
      [...ids].reverse().map((id, index) => createRecord(id, index)),
    );
    for (const limit of [1, 4, 100]) {
      const pages: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = await store.list(spaceId, { after, limit });
        pages.push(...page.map(({ id }) => id));
        after = page.at(-1)?.id;
        if (page.length < limit) break;
      }
      t.deepEqual(pages, ids, `pages of ${limit}`);
    }
    t.deepEqual((await store.list(spaceId, { after: "az", limit: 1 }))[0]?.id, "b", "an id that is not there will do");
    const found = await store.get(spaceId, ids);
    t.deepEqual(
      found.map((record) => record?.id),
      ids,
    );
    t.is(await store.delete([`${long}a`], spaceId), 1);
    t.deepEqual(
      (await store.get(spaceId, [`${long}a`, `${long}b`])).map((record) => record === undefined),
      [true, false],
    );
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      await assertRefused(t, () => store.list(spaceId, { limit }), { reason: "FIELD_INVALID", message: /limit/ });
    }
  });

  test.serial(`the ${name} store has nothing under ids that it does not keep`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    await store.upsert(spaceId, [createRecord("\ufffd", 1), createRecord("a", 2)]);
    const ids = ["\ud800", "", "a\0", "a".repeat(5000), "語".repeat(20_000)];
    t.deepEqual(
      await store.get(spaceId, ids),
      ids.map(() => undefined),
    );
    t.is(await store.delete(ids, spaceId), 0);
    t.is(await store.delete(ids), 0);
    for (const after of ["a".repeat(5000), "語".repeat(20_000)]) {
      const listed = await store.list(spaceId, { after, limit: 5 });
      t.deepEqual(
        listed.map(({ id }) => id),
        ["\ufffd"],
      );
    }
    const patch = { b: 1 };
    await assertRefused(t, () => store.updateMetadata("", patch), { reason: "FIELD_INVALID", message: /empty/ });
    await assertRefused(t, () => store.updateMetadata("\ud800", patch), { reason: "FIELD_INVALID", message: /pair/ });
    t.is((await store.countSpaces())[0]?.count, 2);
  });

  test.serial(`the ${name} store finds records by the hash of their weights, the first by id`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    await store.upsert(spaceId, [
      createRecord("c", 1, { weightsHash: toHash(1) }),
      createRecord("🎨", 2, { weightsHash: toHash(1) }),
      createRecord("b", 3, { weightsHash: toHash(1) }),
      createRecord("a", 4, { weightsHash: toHash(2) }),
      createRecord("d", 5),
    ]);
    const asked = [toHash(1), toHash(3), "", toHash(2), toHash(1)];
    const expected = new Map([
      [toHash(1), "b"],
      [toHash(2), "a"],
    ]);
    t.deepEqual(new Map(await store.findByWeights(spaceId, asked)), expected);
    await store.upsert(spaceId, [createRecord("b", 3, { weightsHash: toHash(3) })]);
    await store.delete(["a"]);
    const changed = new Map([
      [toHash(1), "c"],
      [toHash(3), "b"],
    ]);
    t.deepEqual(new Map(await store.findByWeights(spaceId, asked)), changed);
    t.deepEqual(new Map(await store.findByWeights(spaceId, [])), new Map());
  });

  test.serial(`the ${name} store tells which fields its records have`, async (t) => {
    const { store, spaceId } = await withSpace(t, contract);
    await store.upsert(spaceId, [
      createRecord("a", 1, { metadata: { kind: "x", "claim.b": true }, claims: { kind: "y" } }),
      createRecord("b", 2, { metadata: { kind: 1 } }),
    ]);
    const read = async () =>
      Object.fromEntries([...(await store.fields(spaceId))].map(([field, types]) => [field, [...types].sort()]));
    const expected = { "meta.kind": ["number", "string"], "meta.claim.b": ["boolean"], "claim.kind": ["string"] };
    t.deepEqual(await read(), expected);
    await store.updateMetadata("b", { added: true });
    t.deepEqual(await read(), { ...expected, "meta.added": ["boolean"] });
  });
}

function testChanges(contract: VectorStoreContract): void {
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
}

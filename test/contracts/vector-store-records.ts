import test from "ava";
import { assertRefused } from "../helpers/assert-refused.js";
import { createRecord, toHash } from "../helpers/vector-records.js";
import { type VectorStoreContract, withSpace } from "./vector-store-contract.js";

/** Registers the tests of how a store keeps records. */
export function testVectorRecords(contract: VectorStoreContract): void {
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
        { parts: { metadata: { a: (() => 1) as never } }, reason: "FIELD_INVALID", message: /=> 1/ },
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

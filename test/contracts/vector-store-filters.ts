import test from "ava";
import fc from "fast-check";
import type { Filter } from "../../src/vectors/filter.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { claimTexts, holdsForClaim, randomClaimCondition } from "../helpers/claim-oracle.js";
import { randomFilter, randomRecords } from "../helpers/random-filters.js";
import { createRecord, createRecords, createSpace, toHash } from "../helpers/vector-records.js";
import type { VectorStoreContract } from "./vector-store-contract.js";

/** Registers the tests of filters. */
export function testVectorFilters({ name, create, filterCount = 300 }: VectorStoreContract): void {
  const { spaceId } = createSpace("one");

  test.serial(`the ${name} store leaves the records for which a filter holds, whatever it is`, async (t) => {
    const [store, oracle] = [await create(t), createMemoryStore()];
    const [records = []] = fc.sample(randomRecords, { numRuns: 1, seed: 1 });
    for (const one of [store, oracle]) {
      await one.ensureSpace(createSpace("one"));
      await one.upsert(spaceId, records);
    }
    const vectors = createRecord("q", 99).vector;
    await fc.assert(
      fc.asyncProperty(randomFilter, async (filter) => {
        const expected = (await oracle.list(spaceId, { limit: 100, filter })).map(({ id }) => id);
        const listed = (await store.list(spaceId, { limit: 100, filter })).map(({ id }) => id);
        t.deepEqual(listed, expected);
        const [hits = []] = await store.search(spaceId, { vectors, k: 100, filter, exact: true });
        t.deepEqual(hits.map(({ id }) => id).sort(), [...expected].sort());
      }),
      { numRuns: filterCount },
    );
  });

  test.serial(`the ${name} store compares values of one type only, and texts by their UTF-8 bytes`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    const values = { number: 1, text: "1", truth: true, wide: "\uffff", wider: "🎨", empty: "" } as const;
    const records = Object.entries(values).map(([id, v], index) => createRecord(id, index, { metadata: { v } }));
    await store.upsert(spaceId, [...records, createRecord("absent", 9, { base: "b", createdMs: 5 })]);
    const find = async (filter: Filter) => (await store.list(spaceId, { limit: 100, filter })).map(({ id }) => id);
    const field = "meta.v";
    t.deepEqual(await find({ field, op: "eq", value: 1 }), ["number"]);
    t.deepEqual(await find({ field, op: "eq", value: "1" }), ["text"]);
    t.deepEqual(await find({ field, op: "eq", value: true }), ["truth"]);
    t.deepEqual(await find({ field, op: "eq", value: false }), []);
    t.deepEqual(await find({ field, op: "ne", value: true }), ["absent", "empty", "number", "text", "wide", "wider"]);
    t.deepEqual(await find({ field, op: "in", value: [true, "", 7] }), ["empty", "truth"]);
    t.deepEqual(await find({ field, op: "gt", value: "\uffff" }), ["wider"]);
    t.deepEqual(await find({ field, op: "lte", value: "1" }), ["empty", "text"]);
    t.deepEqual(await find({ field, op: "gte", value: 1 }), ["number"]);
    t.deepEqual(await find({ field, op: "lt", value: 1 }), []);
    t.deepEqual(await find({ not: { exists: field } }), ["absent"]);
    t.deepEqual(await find({ not: { field, op: "lt", value: 5 } }), [
      "absent",
      "empty",
      "text",
      "truth",
      "wide",
      "wider",
    ]);
    t.deepEqual(await find({ field: "base", op: "eq", value: "b" }), ["absent"]);
    t.deepEqual(await find({ field: "created_ms", op: "lte", value: 5 }), ["absent"]);
    t.deepEqual(await find({ field: "created_ms", op: "eq", value: "5" }), []);
  });

  test.serial(`the ${name} store compares claims with numbers where they are numbers`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    const claims = new Map<string, string | undefined>([["absent", undefined]]);
    for (const [index, text] of claimTexts.entries()) claims.set(`claim-${index}`, text);
    const records = [...claims].map(([id, n], index) =>
      createRecord(id, index, { claims: n === undefined ? {} : { n }, metadata: { n: n ?? "" } }),
    );
    await store.upsert(spaceId, records);
    const vectors = createRecord("q", 999).vector;
    await fc.assert(
      fc.asyncProperty(randomClaimCondition("claim.n"), fc.boolean(), async (condition, isNot) => {
        const filter = isNot ? { not: condition } : condition;
        const expected = [...claims].filter(([, n]) => holdsForClaim(condition, n) !== isNot).map(([id]) => id);
        const listed = (await store.list(spaceId, { limit: 200, filter })).map(({ id }) => id);
        t.deepEqual(listed, expected.sort());
        const [hits = []] = await store.search(spaceId, { vectors, k: 200, filter, exact: true });
        t.deepEqual(hits.map(({ id }) => id).sort(), expected);
      }),
      { numRuns: Math.max(100, filterCount) },
    );
    const find = async (filter: Filter) => (await store.list(spaceId, { limit: 200, filter })).map(({ id }) => id);
    const texts = async (filter: Filter) => (await find(filter)).map((id) => claims.get(id));
    t.deepEqual(await texts({ field: "claim.n", op: "eq", value: "30" }), ["30"], "a text is compared as text");
    t.deepEqual(await texts({ field: "claim.n", op: "in", value: ["30.0", "many", 49] }), ["30.0", "49", "many"]);
    t.deepEqual(await find({ field: "meta.n", op: "eq", value: 30 }), [], "what the user says has its type");
  });

  test.serial(`the ${name} store finds hashes, a tree and a base that exist where they are not empty`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    await store.upsert(spaceId, [
      createRecord("full", 1, {
        weightsHash: toHash(1),
        fileHash: toHash(2),
        tree: "t",
        base: "b",
        metadata: { a: "" },
      }),
      createRecord("bare", 2, { claims: { a: "" } }),
    ]);
    const vectors = createRecord("q", 3).vector;
    const find = async (filter: Filter): Promise<string[]> => {
      const listed = (await store.list(spaceId, { limit: 9, filter })).map(({ id }) => id);
      const [hits = []] = await store.search(spaceId, { vectors, k: 9, filter });
      t.deepEqual(hits.map(({ id }) => id).sort(), listed);
      return listed;
    };
    for (const exists of ["weights_hash", "file_hash", "tree", "base", "meta.a"]) {
      t.deepEqual(await find({ exists }), ["full"], exists);
      t.deepEqual(await find({ not: { exists } }), ["bare"], exists);
    }
    for (const exists of ["id", "created_ms", "updated_ms"])
      t.deepEqual(await find({ exists }), ["bare", "full"], exists);
    t.deepEqual(await find({ exists: "claim.a" }), ["bare"], "a claim may be empty, and is there");
  });

  test.serial(`the ${name} store pages through what a filter leaves`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    const records = createRecords(90).map((record, index) => ({ ...record, metadata: { even: index % 2 === 0 } }));
    await store.upsert(spaceId, records);
    const filter = { field: "meta.even", op: "eq", value: true } as const;
    const first = await store.list(spaceId, { limit: 30, filter });
    const rest = await store.list(spaceId, { limit: 30, after: first.at(-1)?.id, filter });
    const expected = records.filter((_, index) => index % 2 === 0).map(({ id }) => id);
    t.deepEqual(
      [...first, ...rest].map(({ id }) => id),
      expected,
    );
    t.is(rest.length, 15);
  });

  test.serial(
    `the ${name} store refuses a filter on a field that no record has, and lists those there are`,
    async (t) => {
      const store = await create(t);
      await store.ensureSpace(createSpace("one"));
      await store.upsert(spaceId, [createRecord("m", 1, { metadata: { size: 1 }, claims: { rank: "4" } })]);
      const vectors = createRecord("q", 2).vector;
      for (const field of ["meta.sise", "size", "claim.size", "meta.", "__proto__", "vector"]) {
        const filter = { or: [{ exists: "id" }, { not: { field, op: "eq", value: 1 } }] } as const;
        const expected = { reason: "FIELD_INVALID", message: /no model .* there are id, .*meta\.size/ } as const;
        await assertRefused(t, () => store.search(spaceId, { vectors, k: 1, filter }), expected);
        await assertRefused(t, () => store.list(spaceId, { limit: 1, filter }), expected);
      }
    },
  );

  test.serial(`the ${name} store refuses filters that mean nothing, or are too large`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(createSpace("one"));
    await store.upsert(spaceId, [createRecord("m", 1)]);
    const leaf: Filter = { exists: "id" };
    const nest = (depth: number): Filter => (depth === 1 ? leaf : { not: nest(depth - 1) });
    const many = (count: number): Filter => ({ or: Array.from({ length: count }, () => leaf) });
    const vectors = createRecord("q", 2).vector;
    for (const filter of [{ not: nest(63) }, { or: [nest(63)] }, many(1000)]) {
      t.is((await store.list(spaceId, { limit: 5, filter })).length, "not" in filter ? 0 : 1);
      await t.notThrowsAsync(store.search(spaceId, { vectors, k: 1, filter }));
    }
    const refusals = [
      { filter: nest(65), reason: "LIMIT_EXCEEDED", message: /more than 64 levels/ },
      { filter: many(1001), reason: "LIMIT_EXCEEDED", message: /more than 1000 conditions/ },
      { filter: { and: [] }, reason: "FIELD_INVALID", message: /one condition at least/ },
      { filter: { or: [] }, reason: "FIELD_INVALID", message: /one condition at least/ },
      { filter: { field: "id", op: "in", value: [] }, reason: "FIELD_INVALID", message: /one at least/ },
      { filter: { field: "id", op: "lt", value: true }, reason: "FIELD_INVALID", message: /`lt` takes/ },
      { filter: { field: "id", op: "eq", value: Number.NaN }, reason: "FIELD_INVALID", message: /NaN/ },
      { filter: { field: "id", op: "eq", value: "a\0" }, reason: "FIELD_INVALID", message: /NUL/ },
      { filter: { field: "id", op: "like", value: "a" } as never, reason: "FIELD_INVALID", message: /"like"/ },
      { filter: {} as never, reason: "FIELD_INVALID", message: /none of/ },
    ] as const;
    for (const { filter, ...expected } of refusals) {
      await assertRefused(t, () => store.list(spaceId, { limit: 1, filter }), expected);
      await assertRefused(t, () => store.search(spaceId, { vectors, k: 1, filter }), expected);
    }
  });
}

import test from "ava";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { assertSameHits } from "../helpers/assert-hits.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createRandom, randomValues } from "../helpers/random.js";
import { createRecord, createRecords, createSpace } from "../helpers/vector-records.js";
import type { VectorStoreContract } from "./vector-store-contract.js";

/** Registers the tests of what a store finds. */
export function testVectorSearch({ name, create, tolerance }: VectorStoreContract): void {
  const space = createSpace("one", 24);
  const { spaceId } = space;

  test.serial(`the ${name} store finds the nearest records of each query`, async (t) => {
    const [store, oracle] = [await create(t), createMemoryStore()];
    const records = createRecords(300, "m", { width: 24 }).map((record, index) => ({
      ...record,
      vector: randomValues(24, index, 10 ** ((index % 9) - 4)),
      metadata: { third: index % 3 === 0 },
    }));
    for (const one of [store, oracle]) {
      await one.ensureSpace(space);
      await one.upsert(spaceId, records);
    }
    const vectors = randomValues(24 * 7, 5, 1000);
    for (const k of [1, 10, 299, 300, 1000]) {
      await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k, exact: true });
      for (const minCosine of [-1, 0, 0.3, 0.99]) {
        await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k, minCosine, exact: true });
      }
    }
    const filter = { field: "meta.third", op: "eq", value: true } as const;
    await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k: 10, filter, exact: true });
    const [hits = []] = await store.search(spaceId, { vectors: vectors.subarray(0, 24), k: 10 });
    t.is(hits.length, 10, "without `exact` as well");
    t.deepEqual(await store.search(spaceId, { vectors: new Float32Array(0), k: 10 }), []);
  });

  test.serial(`the ${name} store finds what is left when the last of many new records go`, async (t) => {
    const [store, oracle] = [await create(t), createMemoryStore()];
    const records = createRecords(310, "m", { width: 24 });
    const vectors = randomValues(24 * 2, 8);
    for (const one of [store, oracle]) {
      await one.ensureSpace(space);
      await one.upsert(spaceId, records.slice(0, 10));
      t.is((await one.search(spaceId, { vectors, k: 400, exact: true }))[0]?.length, 10);
      await one.upsert(spaceId, records.slice(10));
      await one.delete(records.slice(250).map(({ id }) => id));
    }
    await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k: 400, exact: true });
  });

  test.serial(`the ${name} store follows changes`, async (t) => {
    const [store, oracle] = [await create(t), createMemoryStore()];
    for (const one of [store, oracle]) await one.ensureSpace(space);
    const random = createRandom(3);
    const vectors = randomValues(24 * 3, 8);
    for (let round = 0; round < 12; round++) {
      const records = Array.from({ length: 10 }, (_, index) =>
        createRecord(`m${Math.floor(random() * 80)}`, round * 100 + index, { width: 24, metadata: { round } }),
      );
      const gone = Array.from({ length: 4 }, () => `m${Math.floor(random() * 80)}`);
      for (const one of [store, oracle]) {
        await one.upsert(spaceId, records);
        await one.delete(gone);
        await one.updateMetadata(`m${round}`, { round: -1 });
      }
      if (round === 7) await store.compact();
      await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k: 15, exact: true });
      const filter = { field: "meta.round", op: "gte", value: round - 2 } as const;
      await assertSameHits(t, { store, oracle, tolerance }, spaceId, { vectors, k: 15, filter, exact: true });
    }
  });

  test.serial(`the ${name} store orders equal cosines by id, also where k cuts them off`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(space);
    const vector = randomValues(24, 1);
    const near = Float32Array.from(vector, (value, index) => (index === 0 ? value + 0.01 : value));
    const ids = Array.from({ length: 60 }, (_, index) => ["é", "z", "🎨", "\uffff", "B"][index % 5] + String(index));
    const sorted = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    await store.upsert(
      spaceId,
      [...createRecords(40, "x", { width: 24 }), ...ids.map((id) => createRecord(id, 0, { vector }))].reverse(),
    );
    const query = { vectors: vector, exact: true };
    for (const k of [1, 2, 7, 30, 59, 60]) {
      const [hits = []] = await store.search(spaceId, { ...query, k });
      t.deepEqual(
        hits.map(({ id }) => id),
        sorted.slice(0, k),
        `k ${k}`,
      );
    }
    await store.upsert(spaceId, [createRecord("~near", 0, { vector: near })]);
    const [hits = []] = await store.search(spaceId, { vectors: near, k: 5, exact: true });
    t.deepEqual(
      hits.map(({ id }) => id),
      ["~near", ...sorted.slice(0, 4)],
    );
  });

  test.serial(`the ${name} store compares at unit length, however long a vector is`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(space);
    const vectors = [1e-38, 1e-20, 1, 1e19, 1e38].map((scale) => randomValues(24, 1, scale));
    const records = vectors.map((vector, index) => createRecord(`m${index}`, 0, { vector }));
    await store.upsert(spaceId, records);
    for (const query of vectors) {
      const [hits = []] = await store.search(spaceId, { vectors: query, k: 5, exact: true });
      t.is(hits.length, 5);
      // Of numbers near 1e-38 float32 keeps fewer digits.
      for (const { id, cosine } of hits) t.true(Math.abs(cosine - 1) < 1e-5 && cosine <= 1, `${id}: ${cosine}`);
    }
    const found = await store.get(
      spaceId,
      records.map(({ id }) => id),
    );
    t.deepEqual(
      found.map((record) => record?.vector),
      vectors,
      "and keeps them as they are",
    );
    const turned = Float32Array.from(vectors[2] ?? [], (value) => -value);
    const [hits = []] = await store.search(spaceId, { vectors: turned, k: 5, exact: true });
    for (const { cosine } of hits) t.true(cosine >= -1 && cosine < -0.9999);
  });

  test.serial(`the ${name} store finds nothing where there is nothing, and all there is for a large k`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(space);
    const vectors = randomValues(48, 1);
    t.deepEqual(await store.search(spaceId, { vectors, k: 10_000, exact: true }), [[], []]);
    await store.upsert(spaceId, [createRecord("m", 1, { width: 24 })]);
    const hits = await store.search(spaceId, { vectors, k: 10_000 });
    t.deepEqual(
      hits.map((one) => one.map(({ id }) => id)),
      [["m"], ["m"]],
    );
    await store.delete(["m"]);
    t.deepEqual(await store.search(spaceId, { vectors, k: 3, exact: true }), [[], []]);
  });

  test.serial(`the ${name} store refuses queries that mean nothing`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(space);
    await store.upsert(spaceId, createRecords(3, "m", { width: 24 }));
    const vectors = randomValues(48, 1);
    const withZeros = vectors.slice().fill(0, 24);
    const withNaN = vectors.slice().fill(Number.NaN, 30, 31);
    const refusals = [
      { queries: { vectors: vectors.subarray(1), k: 1 }, reason: "SHAPE_MISMATCH", message: /47 numbers/ },
      { queries: { vectors: withZeros, k: 1 }, reason: "NON_FINITE", message: /^query 1 is all zeros/ },
      { queries: { vectors: withNaN, k: 1 }, reason: "NON_FINITE", message: /^query 1 has a number/ },
      { queries: { vectors, k: 0 }, reason: "FIELD_INVALID", message: /k is 0; .* 1 to 10000/ },
      { queries: { vectors, k: 10_001 }, reason: "FIELD_INVALID", message: /k is 10001/ },
      { queries: { vectors, k: 1.5 }, reason: "FIELD_INVALID", message: /k is 1.5/ },
      { queries: { vectors, k: 1, minCosine: Number.NaN }, reason: "FIELD_INVALID", message: /NaN/ },
    ] as const;
    for (const { queries, ...expected } of refusals)
      await assertRefused(t, () => store.search(spaceId, queries), expected);
  });

  test.serial(`the ${name} store does not search for somebody who has gone`, async (t) => {
    const store = await create(t);
    await store.ensureSpace(space);
    await store.upsert(spaceId, createRecords(3, "m", { width: 24 }));
    const vectors = randomValues(24, 1);
    const reason = new Error("gone");
    const before = store.search(spaceId, { vectors, k: 1, signal: AbortSignal.abort(reason) });
    t.is(await t.throwsAsync(before), reason);
    const controller = new AbortController();
    const during = store.search(spaceId, { vectors, k: 1, signal: controller.signal }).catch((error: unknown) => error);
    controller.abort(reason);
    // It may have been too late.
    const outcome = await during;
    t.true(outcome === reason || Array.isArray(outcome));
    t.is((await store.search(spaceId, { vectors, k: 1, signal: new AbortController().signal })).length, 1);
  });
}

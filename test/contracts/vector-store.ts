import test from "ava";
import { assertRefused } from "../helpers/assert-refused.js";
import { createRecord, createRecords, createSpace, toHash } from "../helpers/vector-records.js";
import { testVectorChanges } from "./vector-store-changes.js";
import type { VectorStoreContract } from "./vector-store-contract.js";
import { testVectorFilters } from "./vector-store-filters.js";
import { testVectorRecords } from "./vector-store-records.js";
import { testVectorSearch } from "./vector-store-search.js";

/** Registers the tests that every store of vectors has to pass. */
export function testVectorStore(contract: VectorStoreContract): void {
  testSpaces(contract);
  testVectorRecords(contract);
  testVectorChanges(contract);
  testVectorSearch(contract);
  testVectorFilters(contract);
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

import type { Admit } from "../../src/retrieval/batch-gate.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, toNewRecord, width } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

test("copies are those whose cosine reaches the bound, in every space, with whether their weights are the same", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  const vector = randomValues(width, 3);
  const near = vector.map((x, i) => x + (i === 0 ? 0.01 : 0));
  const hash = "a".repeat(64);
  await fillSpace(store, one, [
    toNewRecord("m", 0, { vector, weightsHash: hash }),
    toNewRecord("copy", 0, { vector: vector.map((x) => 2 * x), weightsHash: hash }),
    toNewRecord("near", 0, { vector: near, weightsHash: "b".repeat(64) }),
    toNewRecord("far", 77),
  ]);
  await fillSpace(store, two, [toNewRecord("m", 5), toNewRecord("other", 5)]);
  const [found, nobody, far] = await retrieval.findDuplicates(["m", "nobody", "far"]);
  if (!Array.isArray(found)) throw t.fail(String(found));
  t.like(found, [
    { modelId: "copy", spaceId: one.spaceId, hasSameWeights: true },
    { modelId: "other", spaceId: two.spaceId, hasSameWeights: false },
    { modelId: "near", spaceId: one.spaceId, hasSameWeights: false },
  ]);
  t.is(found.length, 3);
  assertError(t, nobody, { reason: "MODEL_NOT_FOUND", message: /"nobody"/ });
  t.deepEqual(far, []);

  const [strict] = await retrieval.findDuplicates(["m"], { minCosine: 0.9999999, experts: ["one"], k: 1 });
  t.like(strict, [{ modelId: "copy" }]);
});

test("a space that goes during a search fails its own models, and the others keep their own copies", async (t) => {
  const { zoo } = t.context;
  const { one, two } = zoo.experts;
  const inner = createMemoryStore();
  const store: VectorStore = {
    ...inner,
    search: async (spaceId, queries) => {
      if (spaceId === one.spaceId) await inner.dropSpace(spaceId).catch(() => {});
      return inner.search(spaceId, queries);
    },
  };
  const { retrieval } = openZooRetrieval(zoo, { store });
  await fillSpace(store, one, [toNewRecord("both", 1)]);
  await fillSpace(store, two, [toNewRecord("both", 2), toNewRecord("copy of both", 2)]);
  await fillSpace(store, two, [toNewRecord("n", 3), toNewRecord("copy of n", 3)]);
  const [lost, found] = await retrieval.findDuplicates(["both", "n"]);
  assertError(t, lost, { reason: "SPACE_NOT_FOUND", message: /no space/ });
  t.like(found, [{ modelId: "copy of n", spaceId: two.spaceId }]);
});

test("bounds that mean nothing are refused", async (t) => {
  const { zoo } = t.context;
  const { retrieval } = openZooRetrieval(zoo);
  await assertRefused(t, () => retrieval.findDuplicates([]), { reason: "FIELD_INVALID", message: /no model ids/ });
  await assertRefused(t, () => retrieval.findDuplicates(["m"], { minCosine: 2 }), {
    reason: "FIELD_INVALID",
    message: /min_cosine is 2/,
  });
  await assertRefused(t, () => retrieval.findDuplicates(["m"], { k: -1 }), {
    reason: "FIELD_INVALID",
    message: /k is -1/,
  });
});

test("memory is reserved for as many copies as are asked for", async (t) => {
  const { zoo } = t.context;
  const admitted: number[] = [];
  const admit: Admit = (bytes) => {
    admitted.push(bytes);
    return () => {};
  };
  const { store, retrieval } = openZooRetrieval(zoo, { admit });
  await fillSpace(store, zoo.experts.one, [toNewRecord("m", 1), toNewRecord("n", 1)]);
  await retrieval.findDuplicates(["m", "n"], { k: 10_000 });
  t.true(Math.max(...admitted) >= 2 * 10_000 * 400, `${admitted}`);
});

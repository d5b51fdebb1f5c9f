import test from "ava";
import { createIndexer } from "../../src/retrieval/create-indexer.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { randomValues } from "../helpers/random.js";

const expert = { spaceId: "a".repeat(64), name: "one" };
const embedded = {
  weightsHash: "b".repeat(64),
  embeddings: [
    { expert, representation: randomValues(4, 1), tree: { tree: "oak", isAccepted: true } },
    { expert: { spaceId: "c".repeat(64), name: "two" }, representation: randomValues(3, 2), tree: undefined },
  ],
};

test("a model goes into the space of every expert that embedded it, with what is known of it", async (t) => {
  const store = createMemoryStore();
  const indexer = createIndexer(store);
  const facts = indexer.check({
    modelId: "m",
    metadata: { rank: 4 },
    claims: { ss_sd_model_name: "v1-5.safetensors", ss_base_model_version: "sd_v1", log: "x".repeat(5000), "": "y" },
  });
  t.is(await indexer.index(facts, embedded), "m");
  const [record] = await store.get(expert.spaceId, ["m"]);
  t.like(record, {
    tree: "oak",
    base: "v1-5.safetensors",
    weightsHash: embedded.weightsHash,
    metadata: { rank: 4 },
    claims: { ss_sd_model_name: "v1-5.safetensors", ss_base_model_version: "sd_v1" },
  });
  t.deepEqual(Object.keys(record?.claims ?? {}), ["ss_sd_model_name", "ss_base_model_version"]);
  t.like((await store.get("c".repeat(64), ["m"]))[0], { tree: "" });
  t.is(
    (await store.listSpaces()).every(({ state }) => state === "serving"),
    true,
  );
});

test("a model that is embedded again keeps what is not said anew, in its own space and in that of a new expert", async (t) => {
  const store = createMemoryStore();
  const indexer = createIndexer(store, { maxClaimBytes: 100, maxMetadataBytes: 100 });
  const claims = { base_model: "org/base" };
  const first = { ...embedded, embeddings: embedded.embeddings.slice(0, 1) };
  await indexer.index(indexer.check({ modelId: "m", metadata: { rank: 4 }, claims, base: "mine" }), first);
  await store.updateMetadata("m", { license: "mit", rank: 5 });
  const [old] = await store.get(expert.spaceId, ["m"]);
  if (old === undefined) throw t.fail("it is not there");
  await new Promise((resolve) => setTimeout(resolve, 5));
  await indexer.index(indexer.check({ modelId: "m", metadata: { rank: 6 }, claims, fill: true }), embedded);
  for (const spaceId of [expert.spaceId, "c".repeat(64)]) {
    const [record] = await store.get(spaceId, ["m"]);
    t.like(record, { metadata: { license: "mit", rank: 6 }, base: "mine", createdMs: old.createdMs });
    t.true((record?.updatedMs ?? 0) > old.updatedMs);
  }
  await indexer.index(indexer.check({ modelId: "m", base: "other" }), first);
  t.like((await store.get(expert.spaceId, ["m"]))[0], { metadata: { license: "mit", rank: 6 }, base: "other" });
  // Both sides together are too much: that is told of this model alone.
  const long = indexer.check({ modelId: "m", metadata: { text: "x".repeat(90) } });
  const [refused, sound] = await Promise.allSettled([
    indexer.index(long, first),
    indexer.index({ modelId: "n" }, first),
  ]);
  t.like(refused, { status: "rejected", reason: { reason: "LIMIT_EXCEEDED" } });
  t.is(sound.status, "fulfilled");
});

test("a change of metadata that comes while a model is embedded again is kept", async (t) => {
  const inner = createMemoryStore();
  const store: VectorStore = {
    ...inner,
    upsert: async (...args) => {
      // As another client's, acknowledged before this write begins.
      await inner.updateMetadata("m", { rating: 5 });
      await inner.upsert(...args);
    },
  };
  const first = { ...embedded, embeddings: embedded.embeddings.slice(0, 1) };
  await createIndexer(inner).index({ modelId: "m", metadata: { rank: 4, rating: 1 } }, first);
  await createIndexer(store).index({ modelId: "m", metadata: { rank: 5 } }, embedded);
  for (const spaceId of [expert.spaceId, "c".repeat(64)]) {
    t.deepEqual((await inner.get(spaceId, ["m"]))[0]?.metadata, { rank: 5, rating: 5 });
  }
});

test("models that come together are written together, and one that is refused alone hears of it", async (t) => {
  const inner = createMemoryStore();
  let writes = 0;
  const store = {
    ...inner,
    upsert: async (...args: Parameters<typeof inner.upsert>) => {
      writes++;
      await inner.upsert(...args);
    },
  };
  const indexer = createIndexer(store);
  const toModel = (representation: Float32Array) => ({
    weightsHash: "",
    embeddings: [{ expert, representation, tree: undefined }],
  });
  const many = Array.from({ length: 200 }, (_, i) => indexer.index({ modelId: `m${i}` }, toModel(randomValues(4, i))));
  await Promise.all(many);
  t.is(writes, 1);
  const outcomes = await Promise.allSettled([
    indexer.index({ modelId: "good" }, toModel(randomValues(4, 1))),
    indexer.index({ modelId: "bad" }, toModel(new Float32Array(4))),
  ]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  t.is((await inner.get(expert.spaceId, ["good", "bad"])).filter(Boolean).length, 1);
});

test("a base is the user's word, else the first claim that says anything", (t) => {
  const { check } = createIndexer(createMemoryStore());
  const claims = { "modelspec.architecture": "sdxl", base_model_name_or_path: "org/base", ss_sd_model_name: "None" };
  t.is(check({ modelId: "m", claims, base: "mine" }).base, "mine");
  t.is(check({ modelId: "m", claims }).base, "org/base");
  t.is(check({ modelId: "m", claims: { ...claims, base_model_name_or_path: " " } }).base, "sdxl");
  t.is(check({ modelId: "m" }).base, "");
});

test("facts that cannot be kept are refused before anything is taken in", async (t) => {
  const { check } = createIndexer(createMemoryStore(), { maxClaimBytes: 10, maxMetadataBytes: 20 });
  const cases = [
    [{ modelId: "" }, "FIELD_INVALID"],
    [{ modelId: "x".repeat(1025) }, "LIMIT_EXCEEDED"],
    [{ modelId: "m", fileHash: "abc" }, "FIELD_INVALID"],
    [{ modelId: "m", metadata: { a: Number.NaN } }, "FIELD_INVALID"],
    [{ modelId: "m", metadata: { a: "x".repeat(30) } }, "LIMIT_EXCEEDED"],
    [{ modelId: "m", base: "x".repeat(2000) }, "LIMIT_EXCEEDED"],
  ] as const;
  for (const [facts, reason] of cases) await assertRefused(t, () => check(facts), { reason, message: /./ });
});

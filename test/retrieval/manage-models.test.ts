import type { FullRecord } from "../../src/retrieval/retrieval-port.js";
import { compareText } from "../../src/vectors/compare-text.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, toNewRecord } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

const ids = ["b", "a", "ä", "\u{1F600} of a model", "日本", "z\n"];

test("spaces tell their fields, and whether their expert is at hand and calibrated", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  await fillSpace(store, zoo.experts.plain, [toNewRecord("m", 1, { metadata: { b: 1, a: "x" }, claims: { c: "y" } })]);
  await fillSpace(store, zoo.experts.one, []);
  await store.ensureSpace({ spaceId: "e".repeat(64), expertName: "gone", width: 3 }, { fill: true });
  const { store: description, spaces } = await retrieval.listSpaces();
  t.is(description, store.description);
  t.like(spaces, [
    { expertName: "gone", state: "filling", isExpertPresent: false, isCalibrated: false, width: 3 },
    { expertName: "one", state: "serving", count: 0, isExpertPresent: true, isCalibrated: true },
    { expertName: "plain", count: 1, isCalibrated: false, fields: ["claim.c", "meta.a", "meta.b"] },
  ]);
  await retrieval.dropSpace("gone");
  t.is((await retrieval.listSpaces()).spaces.length, 2);
  await assertRefused(t, () => retrieval.dropSpace("gone"), { reason: "EXPERT_NOT_FOUND", message: /gone/ });
  const none = { reason: "SPACE_NOT_FOUND", message: /no space "eeee.*; it has one \([0-9a-f]{12}\), plain / } as const;
  await assertRefused(t, () => retrieval.dropSpace("e".repeat(64)), none);
  await assertRefused(t, () => retrieval.listModels({ space: "e".repeat(8) }), none);
});

test("models are got by id and by hash, in the order asked for, then by space", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  const hash = "c".repeat(64);
  await fillSpace(
    store,
    one,
    ids.map((id, i) => toNewRecord(id, i, id === "a" ? { weightsHash: hash } : {})),
  );
  await fillSpace(store, two, [toNewRecord("a", 50)]);
  const found = await retrieval.getModels({ modelIds: ["z\n", "nobody", "a"], weightsHashes: [hash, "d".repeat(64)] });
  const spaces = [one.spaceId, two.spaceId].sort();
  t.deepEqual(
    found.map(({ id, spaceId }) => [id, spaceId]),
    [["z\n", one.spaceId], ...spaces.map((spaceId) => ["a", spaceId]), ["a", one.spaceId]],
  );
  t.deepEqual(found[0]?.vector, toNewRecord("", 5).vector);
  t.is((await retrieval.getModels({ modelIds: ["a"], spaces: ["two"] })).length, 1);
  await assertRefused(t, () => retrieval.getModels({ weightsHashes: ["xyz"] }), {
    reason: "FIELD_INVALID",
    message: /64 digits/,
  });
});

test("listings go page by page in the order of ids, and a token is good for its own listing", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  await fillSpace(
    store,
    zoo.experts.one,
    ids.map((id, i) => toNewRecord(id, i, { metadata: { i } })),
  );
  await fillSpace(store, zoo.experts.two, [toNewRecord("x", 1)]);
  const listed: string[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await retrieval.listModels({ space: "one", pageSize: 2, pageToken });
    listed.push(...page.records.map(({ id }) => id));
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== "");
  t.deepEqual(listed, ids.toSorted(compareText));
  t.is(pages, 3);
  const filter = { field: "meta.i", op: "gte", value: 4 } as const;
  t.is((await retrieval.listModels({ space: "one", filter })).records.length, 2);
  const { nextPageToken } = await retrieval.listModels({ space: "one", pageSize: 2 });
  for (const other of [
    { space: "two", pageToken: nextPageToken },
    { space: "one", filter, pageToken: nextPageToken },
    { space: "one", pageToken: "nonsense" },
    { space: "one", pageToken: `${nextPageToken.slice(0, 3)}A${nextPageToken.slice(4)}` },
  ]) {
    await assertRefused(t, () => retrieval.listModels(other), { reason: "FIELD_INVALID", message: /page_token/ });
  }
  await assertRefused(t, () => retrieval.listModels({}), { reason: "EXPERT_AMBIGUOUS", message: /2 spaces serve/ });
});

/** A memory store, with how many records each call of `list` asked it for. */
function createCountingStore(): { readonly store: VectorStore; readonly limits: readonly number[] } {
  const inner = createMemoryStore();
  const limits: number[] = [];
  const list: VectorStore["list"] = (spaceId, range) => {
    limits.push(range.limit);
    return inner.list(spaceId, range);
  };
  return { store: { ...inner, list }, limits };
}

test("a page of long records ends before its number, and not many more are read for it", async (t) => {
  const { zoo } = t.context;
  const { store, limits } = createCountingStore();
  const { retrieval } = openZooRetrieval(zoo, { store });
  const text = "x".repeat(60_000);
  await fillSpace(
    store,
    zoo.experts.one,
    Array.from({ length: 60 }, (_, i) => toNewRecord(`m${i}`, i, { metadata: { text } })),
  );
  const { records, nextPageToken } = await retrieval.listModels({ pageSize: 1000 });
  t.true(records.length > 10 && records.length < 60, `${records.length}`);
  t.deepEqual(limits, [32, 32]);
  const rest = await retrieval.listModels({ pageSize: 1000, pageToken: nextPageToken });
  t.is(new Set([...records, ...rest.records].map(({ id }) => id)).size, 60);
});

test("an export reads few long records at a time, and many short ones", async (t) => {
  const { zoo } = t.context;
  const { store, limits } = createCountingStore();
  const { retrieval } = openZooRetrieval(zoo, { store });
  const text = "x".repeat(60_000);
  const short = Array.from({ length: 300 }, (_, i) => toNewRecord(`a${i}`, i));
  const long = Array.from({ length: 250 }, (_, i) => toNewRecord(`b${i}`, i, { metadata: { text } }));
  await fillSpace(store, zoo.experts.one, [...short, ...long]);
  const ids = new Set<string>();
  for await (const batch of retrieval.exportModels({})) for (const { id } of batch) ids.add(id);
  t.is(ids.size, 550);
  t.deepEqual(limits.slice(0, 2), [32, 200]);
  t.true((limits.at(-1) ?? 200) < 40, `${limits}`);
});

test("metadata changes in all spaces at once, and models go from all or from one", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo, { limits: { maxMetadataBytes: 100 } });
  const { one, two } = zoo.experts;
  for (const expert of [one, two]) {
    await fillSpace(store, expert, [toNewRecord("m", 1, { metadata: { keep: 1, go: true } }), toNewRecord("n", 2)]);
  }
  const records = await retrieval.updateModel("m", { go: null, add: "x" });
  t.deepEqual(
    records.map(({ spaceId, metadata }) => [spaceId, metadata]),
    [one.spaceId, two.spaceId].sort().map((spaceId) => [spaceId, { keep: 1, add: "x" }]),
  );
  await assertRefused(t, () => retrieval.updateModel("nobody", {}), { reason: "MODEL_NOT_FOUND", message: /"nobody"/ });
  await assertRefused(t, () => retrieval.updateModel("m", { long: "x".repeat(101) }), {
    reason: "LIMIT_EXCEEDED",
    message: /100/,
  });
  t.is(await retrieval.deleteModels(["m", "m", "nobody"], "one"), 1);
  t.is((await retrieval.getModels({ modelIds: ["m"] })).length, 1);
  t.is(await retrieval.deleteModels(["m", "n"]), 2);
  t.is((await retrieval.getModels({ modelIds: ["m", "n"] })).length, 0);
});

test("what is exported and imported elsewhere is the same, times included", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = Array.from({ length: 450 }, (_, i) =>
    toNewRecord(`m${i}`, i, {
      createdMs: 1000 + i,
      updatedMs: 2000 + i,
      base: `base ${i % 7}`,
      tree: i % 2 === 0 ? "t" : "",
      metadata: { i, text: "ä", yes: true },
      claims: { c: "x".repeat(5000 * (i % 2)) },
    }),
  );
  await fillSpace(store, zoo.experts.one, records);
  const exportAll = async (port: typeof retrieval): Promise<FullRecord[]> => {
    const all: FullRecord[] = [];
    for await (const batch of port.exportModels({ space: "one" })) all.push(...batch);
    return all;
  };
  const first = await exportAll(retrieval);
  t.is(first.length, 450);
  const { retrieval: other } = openZooRetrieval(zoo);
  const { spaceId, name: expertName } = zoo.experts.one;
  const count = await other.importModels({ spaceId, expertName }, retrieval.exportModels({}));
  t.is(count, 450);
  const kept = first.map((record) => ({ ...record, claims: (record.claims["c"] ?? "") === "" ? { c: "" } : {} }));
  t.deepEqual(await exportAll(other), kept);

  async function* none(): AsyncGenerator<never[]> {
    yield [];
  }
  await assertRefused(t, () => other.importModels({ spaceId, expertName }, none()), {
    reason: "FIELD_INVALID",
    message: /no records/,
  });
});

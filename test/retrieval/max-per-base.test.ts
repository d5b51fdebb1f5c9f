import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { hitsOf } from "../helpers/hits-of.js";
import { createRandom, randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, seededRecords, toNewRecord, width } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

test("a bound per base is filled up from further down, as far as there is anything", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const query = randomValues(width, 9);
  // Three hundred near ones of one base, and five far ones of others.
  const near = Array.from({ length: 300 }, (_, i) =>
    toNewRecord(`near ${i}`, 0, { base: "b", vector: query.map((x, j) => x + (j === 0 ? i * 1e-4 : 0)) }),
  );
  const far = seededRecords(5).map((record, i) => ({ ...record, base: i < 2 ? `c${i}` : "" }));
  await fillSpace(store, zoo.experts.plain, [...near, ...far]);
  const [outcome] = await retrieval.retrieve([
    {
      positives: [{ representation: query, spaceId: zoo.experts.plain.spaceId }],
      k: 7,
      maxPerBase: 2,
    },
  ]);
  const ids = hitsOf(t, outcome).map(({ modelId }) => modelId);
  t.deepEqual(ids.slice(0, 2), ["near 0", "near 1"]);
  t.deepEqual(ids.slice(2).sort(), far.map(({ id }) => id).sort());
});

test("more models of one base than a store gives at once hide none of another, and are not all looked at", async (t) => {
  const { zoo } = t.context;
  const inner = createMemoryStore();
  let asked = 0;
  const store: VectorStore = {
    ...inner,
    search: (spaceId, queries) => {
      asked += queries.k;
      return inner.search(spaceId, queries);
    },
  };
  const { retrieval } = openZooRetrieval(zoo, { store });
  const query = randomValues(width, 9);
  const near = Array.from({ length: 10_500 }, (_, i) =>
    toNewRecord(`near ${i}`, 0, { base: "b", vector: query.map((x, j) => x + (j === 0 ? i * 1e-6 : 0)) }),
  );
  const far = Array.from({ length: 5 }, (_, i) => toNewRecord(`far ${i}`, 1000 + i, { base: i < 2 ? `c${i}` : "" }));
  const { spaceId } = zoo.experts.plain;
  for (const part of [near.slice(0, 6000), [...near.slice(6000), ...far]])
    await fillSpace(store, zoo.experts.plain, part);
  const [outcome] = await retrieval.retrieve([
    { positives: [{ representation: query, spaceId }], k: 7, maxPerBase: 2 },
  ]);
  const ids = hitsOf(t, outcome).map(({ modelId }) => modelId);
  t.deepEqual(ids.slice(0, 2), ["near 0", "near 1"]);
  t.deepEqual(ids.slice(2).sort(), far.map(({ id }) => id).sort());
  t.true(asked < 4000, `${asked}`);
});

test("a bound per base over several spaces leaves the best of each base, however far it has to look", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  const random = createRandom(17);
  // A few bases have most of the models.
  const some = ["", "b0", "b0", "b0", "b0", "b1", "b1", undefined];
  const bases = new Map(
    Array.from({ length: 3200 }, (_, i) => [
      `m${i}`,
      some[Math.floor(random() * 8)] ?? `c${Math.floor(random() * 60)}`,
    ]),
  );
  for (const [at, expert] of [one, two].entries()) {
    const records = Array.from({ length: 2500 }, (_, i) => toNewRecord(`m${i + 700 * at}`, 10_000 * at + i));
    await fillSpace(
      store,
      expert,
      records.map((record) => ({ ...record, base: bases.get(record.id) ?? "" })),
    );
  }
  const positives = [{ text: "red dogs" }];
  const [all] = await retrieval.retrieve([{ positives, k: 10_000 }], { withRecords: true });
  for (const [k, maxPerBase] of [
    [60, 1],
    [400, 2],
    [700, 5],
  ] as const) {
    const counts = new Map<string, number>();
    const expected = hitsOf(t, all)
      .filter(({ record }) => {
        const base = record?.base ?? "";
        counts.set(base, (counts.get(base) ?? 0) + 1);
        return base === "" || (counts.get(base) ?? 0) <= maxPerBase;
      })
      .slice(0, k);
    const [outcome] = await retrieval.retrieve([{ positives, k, maxPerBase }], { withRecords: true });
    t.deepEqual(hitsOf(t, outcome), expected, `${k} ${maxPerBase}`);
  }
});

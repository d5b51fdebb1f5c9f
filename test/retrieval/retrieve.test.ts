import fc from "fast-check";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { ModelHit, RetrievalQuery } from "../../src/retrieval/retrieval-port.js";
import { compareText } from "../../src/vectors/compare-text.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertError } from "../helpers/assert-refused.js";
import { hitsOf } from "../helpers/hits-of.js";
import { exactCosine, exactLinear } from "../helpers/oracle.js";
import { randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, seededRecords, toNewRecord, width } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

test("a text finds the models whose representations lie nearest to its image", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = seededRecords(50);
  await fillSpace(store, zoo.experts.plain, records);
  const [outcome] = await retrieval.retrieve([{ positives: [{ text: "red dogs" }], k: 7 }]);
  const { values } = await zoo.encoder.encode(["a model of red dogs"]);
  const { head } = zoo.parameters.plain;
  const image = exactLinear(head.weight, head.bias, values);
  const expected = records
    .map(({ id, vector }) => ({ id, cosine: exactCosine(image, vector) }))
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, 7);
  const hits = hitsOf(t, outcome);
  t.deepEqual(
    hits.map(({ modelId }) => modelId),
    expected.map(({ id }) => id),
  );
  for (const [index, { cosine, score, spaceId }] of hits.entries()) {
    t.true(Math.abs(cosine - (expected[index]?.cosine ?? 0)) < 1e-6);
    t.is(score, undefined);
    t.is(spaceId, zoo.experts.plain.spaceId);
  }
});

test("examples count at unit length, negatives half, and models that a query names are not among its hits", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = seededRecords(30);
  await fillSpace(store, zoo.experts.one, records);
  const own = randomValues(width, 7, 100);
  const [outcome] = await retrieval.retrieve([
    {
      positives: [{ modelId: "model 3" }, { representation: own, spaceId: zoo.experts.one.spaceId }],
      negatives: [{ modelId: "model 4" }],
      k: 28,
    },
  ]);
  const unit = (x: ArrayLike<number>): number[] => {
    const norm = Math.hypot(...Array.from(x));
    return Array.from(x, (value) => value / norm);
  };
  const [a, b, c] = [records[3]?.vector ?? [], own, records[4]?.vector ?? []].map(unit);
  const mean = unit(unit(own).map((_, i) => ((a?.[i] ?? 0) + (b?.[i] ?? 0)) / 2));
  const query = mean.map((value, i) => value - (c?.[i] ?? 0) / 2);
  const expected = records
    .filter((_, index) => index !== 3 && index !== 4)
    .map(({ id, vector }) => ({ id, cosine: exactCosine(query, vector) }))
    .sort((x, y) => y.cosine - x.cosine);
  const hits = hitsOf(t, outcome);
  t.deepEqual(
    hits.map(({ modelId }) => modelId),
    expected.map(({ id }) => id),
  );
  t.true(Math.abs((hits[0]?.cosine ?? 0) - (expected[0]?.cosine ?? 1)) < 1e-6);
  t.true(hits.every(({ score = -1 }) => score >= 0 && score <= 1));
});

test("texts of a batch are encoded in one call, and equal groups searched in one", async (t) => {
  const { zoo } = t.context;
  let encodings = 0;
  let searches = 0;
  const { store: inner } = openZooRetrieval(zoo);
  const store: VectorStore = {
    ...inner,
    search: (...args) => {
      searches++;
      return inner.search(...args);
    },
  };
  const encoder = {
    ...zoo.encoder,
    encode: (...args: Parameters<typeof zoo.encoder.encode>) => {
      encodings++;
      return zoo.encoder.encode(...args);
    },
  };
  const { retrieval } = openZooRetrieval(zoo, { store, encoders: [encoder] });
  await fillSpace(store, zoo.experts.one, seededRecords(20));
  await fillSpace(store, zoo.experts.two, seededRecords(20));
  const queries: RetrievalQuery[] = ["red", "green", "blue", "dogs"].map((text) => ({ positives: [{ text }] }));
  queries.push({ positives: [{ text: "cats" }], k: 3 });
  const outcomes = await retrieval.retrieve(queries);
  t.is(outcomes.filter((outcome) => outcome instanceof ProbestreamError).length, 0);
  t.is(encodings, 1);
  t.is(searches, 4);
  await retrieval.retrieve(queries);
  t.is(encodings, 1, "texts are remembered");
});

test("hits of several spaces come by score, then cosine, then id by its bytes, then space", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  // The same representation under ids of which UTF-16 and UTF-8 disagree.
  const vector = randomValues(width, 5);
  const same = ["\u{1F600}", "\uFFFD", "a", "é"].map((id) => toNewRecord(id, 0, { vector }));
  await fillSpace(store, zoo.experts.one, [...same, ...seededRecords(20)]);
  await fillSpace(store, zoo.experts.two, seededRecords(20, 5000));
  const [outcome] = await retrieval.retrieve([{ positives: [{ text: "green houses" }], k: 100 }]);
  const hits = hitsOf(t, outcome);
  t.is(hits.length, 24, "models of both spaces stand once");
  for (const [index, hit] of hits.entries()) {
    const next = hits[index + 1];
    if (next === undefined) break;
    const order =
      (next.score ?? 0) - (hit.score ?? 0) ||
      next.cosine - hit.cosine ||
      compareText(hit.modelId, next.modelId) ||
      compareText(hit.spaceId, next.spaceId);
    t.true(order < 0);
  }
  const ids = hits.map(({ modelId }) => modelId).filter((id) => !id.startsWith("model"));
  t.deepEqual(ids, ["a", "é", "\uFFFD", "\u{1F600}"]);
});

test("a query over several spaces equals the merge of queries of each", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const bases = ["x", "y", "z", ""];
  const records = (from: number) =>
    Array.from({ length: 40 }, (_, i) => toNewRecord(`m${i}`, from + i, { base: bases[i % 4] ?? "" }));
  const { one, two } = zoo.experts;
  await fillSpace(store, one, records(1000));
  await fillSpace(store, two, records(2000));
  const baseOf = new Map(records(0).map(({ id, base }) => [id, base]));
  const everything = async (text: string): Promise<ModelHit[]> => {
    const alone = await retrieval.retrieve(
      [one, two].map(({ spaceId }) => ({ positives: [{ text }], k: 40, experts: [spaceId] })),
    );
    return alone
      .flatMap((outcome) => hitsOf(t, outcome))
      .sort(
        (a, b) =>
          (b.score ?? 0) - (a.score ?? 0) ||
          b.cosine - a.cosine ||
          compareText(a.modelId, b.modelId) ||
          compareText(a.spaceId, b.spaceId),
      )
      .filter(({ modelId }, index, all) => all.findIndex((hit) => hit.modelId === modelId) === index);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("red", "green cats", "blue houses"),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(4),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (text, k, maxPerBase, minScore) => {
        const [outcome] = await retrieval.retrieve([{ positives: [{ text }], k, maxPerBase, minScore }]);
        const counts = new Map<string, number>();
        const expected = (await everything(text))
          .filter(({ score = 0 }) => score >= minScore)
          .filter(({ modelId }) => {
            const base = baseOf.get(modelId) ?? "";
            counts.set(base, (counts.get(base) ?? 0) + 1);
            return maxPerBase === 0 || base === "" || (counts.get(base) ?? 0) <= maxPerBase;
          })
          .slice(0, k);
        t.deepEqual(hitsOf(t, outcome), expected);
      },
    ),
    { numRuns: 40, seed: 3 },
  );
});

test("filters, trees and least cosines restrict what is found", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = seededRecords(20).map((record, i) => ({
    ...record,
    tree: i % 2 === 0 ? "even" : "odd",
    metadata: { rank: i },
  }));
  await fillSpace(store, zoo.experts.one, records);
  // Only one of two spaces has the field: in the other nothing has it.
  await fillSpace(store, zoo.experts.two, seededRecords(20, 4000));
  const positives = [{ text: "red" }];
  const filter = { field: "meta.rank", op: "lt", value: 10 } as const;
  const [filtered, other, ofTree, near, wrong] = await retrieval.retrieve([
    { positives, k: 100, filter },
    { positives, k: 100, filter: { not: filter } },
    { positives, k: 100, trees: ["even"], filter },
    { positives, k: 100, experts: ["one"], minCosine: 0.2 },
    { positives, filter: { exists: "meta.none" } },
  ]);
  const idsOf = (found: readonly { readonly modelId: string }[]): string[] =>
    found.map(({ modelId }) => modelId).sort();
  t.deepEqual(
    idsOf(hitsOf(t, filtered)),
    records
      .slice(0, 10)
      .map(({ id }) => id)
      .sort(),
  );
  t.is(hitsOf(t, other).length, 20);
  t.is(hitsOf(t, ofTree).length, 5);
  t.true(hitsOf(t, near).every(({ cosine }) => cosine >= 0.2));
  t.true(hitsOf(t, near).length > 0);
  assertError(t, wrong, { reason: "FIELD_INVALID", message: /meta\.none/ });
});

test("records come with hits where they are asked for, and a switch is seen by the next batch", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  await fillSpace(store, one, [toNewRecord("a", 1, { metadata: { note: "first" } })]);
  await fillSpace(store, two, [toNewRecord("a", 1, { metadata: { note: "second" } })], true);
  const query: RetrievalQuery = { positives: [{ text: "red" }] };
  const noteOf = async (): Promise<unknown> => {
    const [outcome] = await retrieval.retrieve([query], { withRecords: true });
    const [hit] = hitsOf(t, outcome);
    t.false("vector" in (hit?.record ?? {}));
    return hit?.record?.metadata["note"];
  };
  t.is(await noteOf(), "first");
  const [early] = await retrieval.retrieve([{ ...query, experts: ["two"] }]);
  assertError(t, early, { reason: "SPACE_MISMATCH", message: /filling/ });
  await retrieval.switchSpaces({ serve: ["two"], retire: ["one"] });
  t.is(await noteOf(), "second");
});

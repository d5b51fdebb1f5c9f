import anyTest, { type ExecutionContext, type TestFn } from "ava";
import fc from "fast-check";
import { LimitExceededError, ProbestreamError } from "../../src/errors/probestream-error.js";
import type { Admit } from "../../src/retrieval/batch-gate.js";
import type { ModelHit, QueryHits, RetrievalQuery } from "../../src/retrieval/retrieval-port.js";
import { compareText } from "../../src/vectors/compare-text.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { exactCosine, exactLinear } from "../helpers/oracle.js";
import { randomValues } from "../helpers/random.js";
import {
  createRetrievalZoo,
  fillSpace,
  openZooRetrieval,
  type RetrievalZoo,
  toNewRecord,
  width,
} from "../helpers/retrieval-zoo.js";

const test = anyTest as TestFn<{ zoo: RetrievalZoo }>;

test.before(async (t) => {
  t.context = { zoo: await createRetrievalZoo() };
});
test.after.always(async (t) => {
  await t.context.zoo.close();
});

/** The hits of one query; fails the test if there are none. */
function hitsOf(t: ExecutionContext<unknown>, outcome: QueryHits | ProbestreamError | undefined): readonly ModelHit[] {
  if (outcome === undefined || outcome instanceof ProbestreamError) throw t.fail(String(outcome));
  return outcome.hits;
}

const seeded = (count: number, from = 1000) =>
  Array.from({ length: count }, (_, index) => toNewRecord(`model ${index}`, from + index));

test("a text finds the models whose representations lie nearest to its image", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = seeded(50);
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
  const records = seeded(30);
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
  await fillSpace(store, zoo.experts.one, seeded(20));
  await fillSpace(store, zoo.experts.two, seeded(20));
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
  await fillSpace(store, zoo.experts.one, [...same, ...seeded(20)]);
  await fillSpace(store, zoo.experts.two, seeded(20, 5000));
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

test("a bound per base is filled up from further down, as far as there is anything", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const query = randomValues(width, 9);
  // Three hundred near ones of one base, and five far ones of others.
  const near = Array.from({ length: 300 }, (_, i) =>
    toNewRecord(`near ${i}`, 0, { base: "b", vector: query.map((x, j) => x + (j === 0 ? i * 1e-4 : 0)) }),
  );
  const far = seeded(5).map((record, i) => ({ ...record, base: i < 2 ? `c${i}` : "" }));
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

test("a space whose head finds no room is skipped, and costs the others nothing", async (t) => {
  const { zoo } = t.context;
  const { one, two } = zoo.experts;
  const admit: Admit = (_, what, kind) => {
    if (kind === "head" && what.includes('"two"')) throw new LimitExceededError("MEMORY_BUDGET", `no room for ${what}`);
    return () => {};
  };
  const { store, retrieval } = openZooRetrieval(zoo, { admit });
  await fillSpace(store, one, seeded(5));
  await fillSpace(store, two, seeded(5));
  const positives = [{ text: "red dogs" }];
  const [both, only, example] = await retrieval.retrieve([
    { positives },
    { positives, experts: ["two"] },
    { positives: [{ modelId: "model 1" }], experts: ["two"] },
  ]);
  t.is(hitsOf(t, both).length, 5);
  if (both === undefined || both instanceof ProbestreamError) throw t.fail("no hits");
  t.deepEqual(
    both.skipped.map(({ expertName, error }) => [expertName, error.reason]),
    [["two", "MEMORY_BUDGET"]],
  );
  assertError(t, only, { reason: "MEMORY_BUDGET", message: /no room for the head/ });
  t.is(hitsOf(t, example).length, 4);
});

test("many queries with a bound per base are widened a few at a time, with memory reserved and without vectors", async (t) => {
  const { zoo } = t.context;
  const inner = createMemoryStore();
  const [sizes, plain]: [number[], boolean[]] = [[], []];
  let [held, most, room] = [0, 0, Number.POSITIVE_INFINITY];
  const store: VectorStore = {
    ...inner,
    search: (spaceId, queries) => {
      sizes.push((queries.k * queries.vectors.length) / width);
      return inner.search(spaceId, queries);
    },
    get: (spaceId, ids, options) => {
      plain.push(options?.vectors === false && ids.length <= 128);
      return inner.get(spaceId, ids, options);
    },
  };
  const admit = (bytes: number, what: string) => {
    if (bytes > room) throw new LimitExceededError("MEMORY_BUDGET", `no room for ${what}`);
    held += bytes;
    most = Math.max(most, held);
    return () => {
      held -= bytes;
    };
  };
  const { retrieval } = openZooRetrieval(zoo, { store, admit });
  const near = seeded(1500).map((record) => ({ ...record, base: "b" }));
  await fillSpace(store, zoo.experts.plain, near);
  const { spaceId } = zoo.experts.plain;
  const queries = Array.from({ length: 60 }, (_, seed) => {
    return { positives: [{ representation: randomValues(width, seed), spaceId }], k: 20, maxPerBase: 1 };
  });
  const outcomes = await retrieval.retrieve(queries);
  t.true(outcomes.every((outcome) => hitsOf(t, outcome).length === 1));
  t.true(Math.max(...sizes) <= 20_000, `${Math.max(...sizes)}`);
  t.true(plain.length > 0 && plain.every(Boolean));
  t.true(most >= 2560 * 500, `${most}`);
  t.is(held, 0);
  room = 2_000_000;
  const [refused, other] = await retrieval.retrieve([
    queries[0] as RetrievalQuery,
    { ...queries[1], maxPerBase: 0 } as RetrievalQuery,
  ]);
  t.is(hitsOf(t, refused).length, 1);
  t.is(hitsOf(t, other).length, 20);
  room = 500_000;
  const [wide, narrow] = await retrieval.retrieve([
    queries[0] as RetrievalQuery,
    { ...queries[1], maxPerBase: 0 } as RetrievalQuery,
  ]);
  assertError(t, wide, { reason: "MEMORY_BUDGET", message: /more hits/ });
  t.is(hitsOf(t, narrow).length, 20);
});

test("long records of hits have their memory reserved as they are read, and come without vectors", async (t) => {
  const { zoo } = t.context;
  const inner = createMemoryStore();
  let most = 0;
  let room = Number.POSITIVE_INFINITY;
  let held = 0;
  const admit: Admit = (bytes, what) => {
    if (held + bytes > room) throw new LimitExceededError("MEMORY_BUDGET", `no room for ${what}`);
    held += bytes;
    most = Math.max(most, held);
    return () => {
      held -= bytes;
    };
  };
  const store: VectorStore = {
    ...inner,
    get: (spaceId, ids, options) => {
      t.is(options?.vectors, false);
      return inner.get(spaceId, ids, options);
    },
  };
  const { retrieval } = openZooRetrieval(zoo, { store, admit });
  const long = seeded(60).map((record) => ({ ...record, metadata: { text: "x".repeat(60_000) } }));
  await fillSpace(store, zoo.experts.plain, long);
  const query = { positives: [{ text: "red" }], k: 60 };
  const [outcome] = await retrieval.retrieve([query], { withRecords: true });
  t.is(hitsOf(t, outcome).length, 60);
  t.true(most > 60 * 60_000, `${most}`);
  room = held + 2_000_000;
  await assertRefused(t, () => retrieval.retrieve([query], { withRecords: true }), {
    reason: "MEMORY_BUDGET",
    message: /records of hits/,
  });
  t.is(held, room - 2_000_000);
});

test("filters, trees and least cosines restrict what is found", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const records = seeded(20).map((record, i) => ({
    ...record,
    tree: i % 2 === 0 ? "even" : "odd",
    metadata: { rank: i },
  }));
  await fillSpace(store, zoo.experts.one, records);
  // Only one of two spaces has the field: in the other nothing has it.
  await fillSpace(store, zoo.experts.two, seeded(20, 4000));
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

test("spaces without a say are told, and queries that no space can answer say why", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, plain, classes } = zoo.experts;
  await fillSpace(store, one, seeded(5));
  await fillSpace(store, classes, seeded(5));
  const [found, label, unknown, ofClasses] = await retrieval.retrieve([
    { positives: [{ text: "red" }] },
    { positives: [{ text: "moon" }], experts: ["classes"] },
    { positives: [{ text: "xyzzy" }], experts: ["one"] },
    { positives: [{ text: "red" }], experts: ["classes"] },
  ]);
  t.is(hitsOf(t, found).length, 5);
  t.like((found as QueryHits).skipped, [{ spaceId: classes.spaceId, expertName: "classes" }]);
  assertError(t, (found as QueryHits).skipped[0]?.error, {
    reason: "TEXT_NOT_JUDGED",
    message: /none of its 3 labels/,
  });
  t.is(hitsOf(t, label).length, 5);
  // The prompt has known words, the text none.
  assertError(t, unknown, { reason: "TEXT_NOT_JUDGED", message: /knows no word of "xyzzy"/ });
  assertError(t, ofClasses, { reason: "TEXT_NOT_JUDGED", message: /none of its 3 labels/ });

  await fillSpace(store, plain, seeded(5));
  const [merged, alone, scored] = await retrieval.retrieve([
    { positives: [{ text: "red" }] },
    { positives: [{ text: "red" }], experts: ["plain"] },
    { positives: [{ text: "red" }], experts: ["plain"], minScore: 0.5 },
  ]);
  assertError(t, merged, {
    reason: "NOT_CALIBRATED",
    message: /"plain"/,
    facts: { expert: "plain", spaceId: plain.spaceId },
  });
  t.is(hitsOf(t, alone).length, 5);
  assertError(t, scored, { reason: "NOT_CALIBRATED", message: /least score/ });

  const { retrieval: deaf } = openZooRetrieval(zoo, { store, encoders: [] });
  const [mute] = await deaf.retrieve([{ positives: [{ text: "red" }], experts: ["one"] }]);
  assertError(t, mute, { reason: "TEXT_ENCODER_MISSING", message: /--text-encoder/, kind: "precondition" });
});

test("a query that is wrong costs the others nothing", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, two } = zoo.experts;
  await fillSpace(store, one, seeded(5));
  await fillSpace(store, two, [toNewRecord("only two", 1)]);
  const good: RetrievalQuery = { positives: [{ text: "red" }] };
  const vector = randomValues(width, 3);
  const bad: readonly (readonly [RetrievalQuery, string])[] = [
    [{ positives: [] }, "FIELD_INVALID"],
    [{ positives: [{ text: " \n" }] }, "FIELD_INVALID"],
    [{ positives: [{ text: "x".repeat(70_000) }] }, "LIMIT_EXCEEDED"],
    [{ positives: [{ modelId: "nobody" }] }, "MODEL_NOT_FOUND"],
    [{ positives: [{ modelId: "" }] }, "FIELD_INVALID"],
    [{ positives: [{ modelId: "model 1" }, { modelId: "only two" }] }, "FIELD_INVALID"],
    [{ positives: [{ representation: vector.subarray(1), spaceId: one.spaceId }] }, "SHAPE_MISMATCH"],
    [{ positives: [{ representation: vector, spaceId: "0".repeat(64) }] }, "SPACE_NOT_FOUND"],
    [{ positives: [{ representation: vector.slice().fill(Number.NaN, 0, 1), spaceId: one.spaceId }] }, "NON_FINITE"],
    [{ positives: [{ modelId: "model 1" }], negatives: [{ modelId: "model 1" }], k: 0 }, "FIELD_INVALID"],
    [{ ...good, k: 10_001 }, "FIELD_INVALID"],
    [{ ...good, k: 1.5 }, "FIELD_INVALID"],
    [{ ...good, minScore: 1.1 }, "FIELD_INVALID"],
    [{ ...good, minCosine: Number.NaN }, "FIELD_INVALID"],
    [{ ...good, experts: ["none"] }, "EXPERT_NOT_FOUND"],
    [{ ...good, experts: ["plain"] }, "SPACE_NOT_FOUND"],
    [{ ...good, experts: ["0".repeat(64)] }, "SPACE_NOT_FOUND"],
    [{ ...good, trees: [""] }, "FIELD_INVALID"],
  ];
  const outcomes = await retrieval.retrieve(bad.flatMap(([query]) => [query, good]));
  for (const [index, [, reason]] of bad.entries()) {
    const outcome = outcomes[2 * index];
    t.is(
      outcome instanceof ProbestreamError ? outcome.reason : "found",
      reason,
      JSON.stringify(bad[index]?.[0]).slice(0, 90),
    );
    t.is(hitsOf(t, outcomes[2 * index + 1]).length, 6);
  }
});

test("examples that cancel out are refused", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const vector = randomValues(width, 3);
  await fillSpace(store, zoo.experts.one, seeded(2));
  const { spaceId } = zoo.experts.one;
  const opposite = vector.map((x) => -x);
  const [outcome] = await retrieval.retrieve([
    { positives: [vector, opposite].map((representation) => ({ representation, spaceId })) },
  ]);
  assertError(t, outcome, { reason: "FIELD_INVALID", message: /cancel each other out/ });
});

test("a batch that is empty, too long or given up is refused as a whole", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo, { limits: { maxQueries: 3 } });
  await assertRefused(t, () => retrieval.retrieve([]), { reason: "FIELD_INVALID", message: /no queries/ });
  const query: RetrievalQuery = { positives: [{ text: "red" }] };
  const [nothing] = await retrieval.retrieve([query]);
  assertError(t, nothing, { reason: "SPACE_NOT_FOUND", message: /nothing was indexed yet/ });
  await fillSpace(store, zoo.experts.one, seeded(2));
  await assertRefused(t, () => retrieval.retrieve(Array.from({ length: 4 }, () => query)), {
    reason: "LIMIT_EXCEEDED",
    message: /4 queries; it takes 3/,
  });
  await t.throwsAsync(retrieval.retrieve([query], { signal: AbortSignal.abort(new Error("given up")) }), {
    message: "given up",
  });
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

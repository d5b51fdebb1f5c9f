import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { QueryHits, RetrievalQuery } from "../../src/retrieval/retrieval-port.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { hitsOf } from "../helpers/hits-of.js";
import { randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, seededRecords, toNewRecord, width } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

test("spaces without a say are told, and queries that no space can answer say why", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  const { one, plain, classes } = zoo.experts;
  await fillSpace(store, one, seededRecords(5));
  await fillSpace(store, classes, seededRecords(5));
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

  await fillSpace(store, plain, seededRecords(5));
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
  await fillSpace(store, one, seededRecords(5));
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
  await fillSpace(store, zoo.experts.one, seededRecords(2));
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
  await fillSpace(store, zoo.experts.one, seededRecords(2));
  await assertRefused(t, () => retrieval.retrieve(Array.from({ length: 4 }, () => query)), {
    reason: "LIMIT_EXCEEDED",
    message: /4 queries; it takes 3/,
  });
  await t.throwsAsync(retrieval.retrieve([query], { signal: AbortSignal.abort(new Error("given up")) }), {
    message: "given up",
  });
});

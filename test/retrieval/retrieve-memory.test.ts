import { LimitExceededError, ProbestreamError } from "../../src/errors/probestream-error.js";
import type { Admit } from "../../src/retrieval/batch-gate.js";
import type { RetrievalQuery } from "../../src/retrieval/retrieval-port.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { hitsOf } from "../helpers/hits-of.js";
import { randomValues } from "../helpers/random.js";
import { createZooTest } from "../helpers/retrieval-test.js";
import { fillSpace, openZooRetrieval, seededRecords, width } from "../helpers/retrieval-zoo.js";

const test = createZooTest();

test("a space whose head finds no room is skipped, and costs the others nothing", async (t) => {
  const { zoo } = t.context;
  const { one, two } = zoo.experts;
  const admit: Admit = (_, what, kind) => {
    if (kind === "head" && what.includes('"two"')) throw new LimitExceededError("MEMORY_BUDGET", `no room for ${what}`);
    return () => {};
  };
  const { store, retrieval } = openZooRetrieval(zoo, { admit });
  await fillSpace(store, one, seededRecords(5));
  await fillSpace(store, two, seededRecords(5));
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
  const near = seededRecords(1500).map((record) => ({ ...record, base: "b" }));
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
  const long = seededRecords(60).map((record) => ({ ...record, metadata: { text: "x".repeat(60_000) } }));
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

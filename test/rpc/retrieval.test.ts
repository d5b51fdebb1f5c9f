import { setTimeout as sleep } from "node:timers/promises";
import { type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type TestFn } from "ava";
import fc from "fast-check";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import type { Comparison } from "../../src/gen/probestream/v1/catalogue_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { RetrievalService } from "../../src/gen/probestream/v1/retrieval_service_pb.js";
import { ServerService } from "../../src/gen/probestream/v1/server_service_pb.js";
import { createRetrieval } from "../../src/retrieval/create-retrieval.js";
import { defaultRetrievalLimits } from "../../src/retrieval/limits.js";
import type { RetrievalPort, RetrievalQuery } from "../../src/retrieval/retrieval-port.js";
import { connect } from "../../src/rpc/client.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { anyCharacter } from "../helpers/any-character.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { toHeldBytes } from "../helpers/held-bytes.js";
import { randomValues } from "../helpers/random.js";
import { type RetrievalServer, startRetrievalServer } from "../helpers/retrieval-server.js";
import { createRetrievalZoo, fillSpace, type RetrievalZoo, toNewRecord, width } from "../helpers/retrieval-zoo.js";
import { toFailure } from "../helpers/rpc-client.js";
import { until } from "../helpers/until.js";

/** Starting a server takes a second: most tests share one. */
const test = anyTest as TestFn<{
  zoo: RetrievalZoo;
  main: RetrievalServer;
  second: RetrievalServer;
  slow: AbortSignal[];
}>;

/** A search with this least cosine takes for ever. */
const slowCosine = -0.125;

test.before(async (t) => {
  const zoo = await createRetrievalZoo();
  const slow: AbortSignal[] = [];
  const inner = createMemoryStore();
  const store: VectorStore = {
    ...inner,
    search: async (spaceId, queries) => {
      const { minCosine, signal } = queries;
      if (minCosine !== slowCosine) return inner.search(spaceId, queries);
      if (signal !== undefined) slow.push(signal);
      return sleep(60_000, [], { signal });
    },
  };
  const main = await startRetrievalServer(zoo, { store, retrievalLimits: { maxLabels: 77 } });
  const second = await startRetrievalServer(zoo, { memoryBudgetBytes: 8 * 1024 * 1024 });
  await fill(store, zoo);
  t.context = { zoo, main, second, slow };
});
test.after.always(async (t) => {
  const { main, second, zoo } = t.context;
  t.deepEqual([...main.faults, ...second.faults], []);
  await main.close();
  await second.close();
  await zoo.close();
});

/** Two spaces that can be merged, with ids beyond ASCII, and one of a classification expert. */
async function fill(store: VectorStore, { experts }: RetrievalZoo): Promise<void> {
  const records = (from: number) =>
    Array.from({ length: 40 }, (_, i) =>
      toNewRecord(i % 3 === 0 ? `Modell ä ${i} \u{1F600}` : `m${i}`, from + i, {
        metadata: { rank: i, note: "ü", even: i % 2 === 0 },
        claims: { tool: "x" },
        base: `base ${i % 5}`,
        tree: i % 2 === 0 ? "t" : "",
      }),
    );
  await fillSpace(store, experts.one, records(1000));
  await fillSpace(store, experts.two, records(2000));
  await fillSpace(store, experts.classes, [toNewRecord("c", 1)]);
}

/** Outcomes with errors as what they say. */
function plain(outcomes: readonly unknown[]): readonly unknown[] {
  const replace = (_: string, value: unknown): unknown =>
    value instanceof ProbestreamError
      ? { reason: value.reason, kind: value.kind, message: value.message, facts: Object.keys(value.facts) }
      : value;
  return outcomes.map((outcome) => JSON.parse(JSON.stringify(outcome, replace)) as unknown);
}

test("a client gets what the use cases give, errors and skipped spaces included", async (t) => {
  const { zoo, main } = t.context;
  const { client, store } = main;
  const local: RetrievalPort = createRetrieval({ store, catalogue: zoo.catalogue, encoders: [zoo.encoder] });
  const { spaceId } = zoo.experts.one;
  const queries: readonly RetrievalQuery[] = [
    { positives: [{ text: "red" }] },
    { positives: [{ text: "blue dogs" }, { modelId: "m1" }], negatives: [{ text: "cats" }], k: 3, maxPerBase: 1 },
    { positives: [{ representation: randomValues(width, 4), spaceId }], k: 50, minCosine: 0.1, exact: true },
    {
      positives: [{ text: "red" }],
      trees: ["t"],
      experts: ["one", "two"],
      minScore: 0.01,
      filter: {
        and: [
          {
            or: [
              { field: "meta.rank", op: "gte", value: 5 },
              { field: "meta.note", op: "eq", value: "ö" },
            ],
          },
          { not: { field: "meta.even", op: "ne", value: true } },
          { exists: "claim.tool" },
          { field: "id", op: "in", value: ["m8", "m10", "Modell ä 6 \u{1F600}"] },
        ],
      },
    },
    { positives: [{ text: "moon" }], experts: ["classes"] },
    { positives: [{ text: "" }] },
    { positives: [{ modelId: "nobody" }] },
    { positives: [{ text: "red" }], experts: ["none"] },
    { positives: [{ text: "red" }], filter: { field: "meta.none", op: "lt", value: 1 } },
  ];
  for (const withRecords of [false, true]) {
    t.deepEqual(
      plain(await client.retrieve(queries, { withRecords })),
      plain(await local.retrieve(queries, { withRecords })),
    );
  }
  const models = [{ modelId: "m1" }, { representation: randomValues(width, 4), spaceId }, { modelId: "nobody" }];
  for (const question of [
    { models, experts: ["one"] },
    { models, experts: ["one"], labels: ["cats", "red"], mode: "any-of-many", top: 1 },
    { models: [{ modelId: "c" }] },
  ] as const) {
    t.deepEqual(plain(await client.classify(question)), plain(await local.classify(question)));
  }
  const ids = ["m1", "nobody", "Modell ä 6 \u{1F600}"];
  for (const options of [{}, { minCosine: -1, k: 3, experts: ["one"] }]) {
    t.deepEqual(plain(await client.findDuplicates(ids, options)), plain(await local.findDuplicates(ids, options)));
  }
});

test("a batch of 1,000 queries with 3 bad ones gives 997 answers and 3 reasons", async (t) => {
  const { raw } = t.context.main;
  const words = ["red", "green", "blue", "dogs", "cats", "houses"];
  const queries = Array.from({ length: 1000 }, (_, i) => {
    const kind =
      i === 10
        ? ({ case: "modelId", value: "nobody" } as const)
        : i % 3 === 0
          ? ({ case: "modelId", value: `m${1 + (i % 2)}` } as const)
          : ({ case: "text", value: `${words[i % 6]} ${words[(i * 7 + 1) % 6]}` } as const);
    return { positives: i === 500 ? [] : [{ kind }], k: i === 999 ? 20_000 : 5 };
  });
  const { answers } = await raw.unary(RetrievalService.method.batchRetrieve, { queries });
  const bad = answers.flatMap(({ outcome }, i) =>
    outcome.case === "error" ? [[i, ErrorReason[outcome.value.reason], outcome.value.code]] : [],
  );
  t.deepEqual(bad, [
    [10, "MODEL_NOT_FOUND", status.NOT_FOUND],
    [500, "FIELD_INVALID", status.INVALID_ARGUMENT],
    [999, "FIELD_INVALID", status.INVALID_ARGUMENT],
  ]);
  const hits = answers.flatMap(({ outcome }) => (outcome.case === "hits" ? [outcome.value.hits.length] : []));
  t.is(hits.length, 997);
  t.true(hits.every((count) => count === 5));
});

test("the client splits what is more than a call takes, and puts the answers together", async (t) => {
  const { zoo, main } = t.context;
  const { client } = main;
  const { spaceId } = zoo.experts.one;
  const queries = Array.from(
    { length: 4500 },
    (_, i): RetrievalQuery => ({
      positives: [i % 2 === 0 ? { modelId: "m1" } : { representation: randomValues(width, i), spaceId }],
      experts: ["one"],
      k: 1 + (i % 3),
    }),
  );
  const outcomes = await client.retrieve(queries);
  const counts = outcomes.map((outcome) =>
    outcome instanceof ProbestreamError ? outcome.message : outcome.hits.length,
  );
  t.deepEqual(
    counts,
    queries.map(({ k }) => k),
  );
  const nobody = Array.from({ length: 4200 }, () => "nobody");
  t.is((await client.classify({ models: nobody.map((modelId) => ({ modelId })) })).length, 4200);
  t.is((await client.findDuplicates(nobody)).length, 4200);
  await assertRefused(t, () => client.retrieve([]), { reason: "FIELD_INVALID", message: /no queries/ });
});

test.serial("an answer that would be too long is refused with its length, and the client asks in halves", async (t) => {
  const { zoo, main } = t.context;
  const { client, raw, store } = main;
  const claims = { long: "x".repeat(4000), longer: "y".repeat(4000) };
  const records = Array.from({ length: 300 }, (_, i) =>
    toNewRecord(`m${i}`, i, { claims, metadata: { note: "n".repeat(30_000) } }),
  );
  await fillSpace(store, zoo.experts.plain, records);
  const text = { case: "text", value: "red" } as const;
  const query = { positives: [{ kind: text }], k: 300, experts: ["plain"] };
  const failure = await raw
    .unary(RetrievalService.method.batchRetrieve, {
      queries: Array.from({ length: 4 }, () => query),
      withRecords: true,
    })
    .catch((error: ServiceError) => toFailure(error));
  t.like(failure, { code: status.RESOURCE_EXHAUSTED, info: { reason: "LIMIT_EXCEEDED" } });
  const found = await client.retrieve(
    Array.from({ length: 4 }, () => ({ positives: [{ text: "red" }], k: 300, experts: ["plain"] })),
    { withRecords: true },
  );
  t.deepEqual(
    found.map((outcome) => (outcome instanceof ProbestreamError ? outcome.message : outcome.hits.length)),
    [300, 300, 300, 300],
  );
  // The other tests merge what can be merged.
  await store.dropSpace(zoo.experts.plain.spaceId);
});

test("without a store every call says so, and health does", async (t) => {
  const { zoo } = t.context;
  const { client, raw, close } = await startRetrievalServer(zoo, { store: undefined });
  t.teardown(close);
  const calls: (() => Promise<unknown>)[] = [
    () => client.retrieve([{ positives: [{ text: "red" }] }]),
    () => client.classify({ models: [{ modelId: "m" }] }),
    () => client.findDuplicates(["m"]),
    () => client.listSpaces(),
    () => client.exportModels({})[Symbol.asyncIterator]().next(),
  ];
  for (const call of calls) {
    await assertRefused(t, call, { reason: "STORE_MISSING", message: /--store/, kind: "precondition" });
  }
  t.is(await raw.health(RetrievalService.typeName), "NOT_SERVING");
  t.is(await raw.health(), "SERVING");
});

test("the server tells its store, its encoders and its limits", async (t) => {
  const { zoo, main } = t.context;
  const { client, raw, store } = main;
  const info = await client.serverInfo();
  t.like(info, { store: store.description, textEncoders: [zoo.encoder.identity] });
  t.like(info.limits, {
    maxQueries: defaultRetrievalLimits.maxQueries,
    maxLabels: 77,
    maxClaimBytes: defaultRetrievalLimits.maxClaimBytes,
    maxMetadataBytes: defaultRetrievalLimits.maxMetadataBytes,
  });
  t.is(await raw.health(RetrievalService.typeName), "SERVING");
});

test.serial("batches that find no room are refused with the figures, and give back what they took", async (t) => {
  const { zoo, second } = t.context;
  const { client, raw, store } = second;
  await fillSpace(store, zoo.experts.classes, [toNewRecord("m", 1)]);
  const query: RetrievalQuery = { positives: [{ modelId: "m" }], k: 10_000 };
  await assertRefused(
    t,
    () =>
      client.retrieve(
        Array.from({ length: 2 }, () => query),
        { withRecords: true },
      ),
    {
      reason: "MEMORY_BUDGET",
      message: /a batch of [12] queries needs \d+ bytes; \d+ of 8388608 are taken/,
    },
  );
  t.is((await client.retrieve([query])).length, 1);
  const { memoryPlan } = await raw.unary(ServerService.method.getServerInfo, {});
  t.is(toHeldBytes(memoryPlan), 0);
});

test.serial("a client that cancels or runs out of time ends the search", async (t) => {
  const { main, slow } = t.context;
  const query: RetrievalQuery = { positives: [{ text: "red" }], experts: ["one"], minCosine: slowCosine };
  const controller = new AbortController();
  const cancelled = main.client.retrieve([query], { signal: controller.signal });
  await until(() => slow.length === 1, "a search runs");
  controller.abort();
  await t.throwsAsync(cancelled);
  await until(() => slow[0]?.aborted === true, "the search was given up");
  const hasty = connect({ target: main.target, deadlineMs: 500 });
  t.teardown(() => hasty.close());
  await assertRefused(t, () => hasty.retrieve([query]), {
    kind: "aborted",
    reason: "STREAM_IDLE",
    message: /did not answer before the call's deadline/,
  });
  await until(() => slow[1]?.aborted === true, "the second search was given up");
});

test.serial("spaces are switched while others search: each batch sees one or the other", async (t) => {
  const { zoo, second } = t.context;
  const { client, store } = second;
  await fillSpace(store, zoo.experts.one, [toNewRecord("old", 1)]);
  await fillSpace(store, zoo.experts.two, [toNewRecord("new", 2)], true);
  const seen: string[] = [];
  let isDone = false;
  const search = async (): Promise<void> => {
    while (!isDone) {
      const outcomes = await client.retrieve([{ positives: [{ text: "red" }] }, { positives: [{ text: "cats" }] }]);
      const ids = outcomes.map((outcome) =>
        outcome instanceof ProbestreamError ? outcome.reason : outcome.hits.map(({ modelId }) => modelId).join(),
      );
      t.is(new Set(ids).size, 1, ids.join());
      seen.push(ids[0] ?? "");
    }
  };
  const searching = Promise.all([search(), search(), search()]);
  await until(() => seen.length > 10, "some searched");
  await client.switchSpaces({ serve: [zoo.experts.two.spaceId], retire: [zoo.experts.one.spaceId] });
  const [after] = await client.retrieve([{ positives: [{ text: "red" }] }]);
  t.like(after, { hits: [{ modelId: "new" }] });
  await until(() => seen.at(-1) === "new", "the switch was seen");
  isDone = true;
  await searching;
  t.deepEqual(new Set(seen), new Set(["old", "new"]));
});

const anyValue = fc.oneof(
  fc.record({ kind: fc.record({ case: fc.constant("text" as const), value: fc.string({ unit: anyCharacter }) }) }),
  fc.record({ kind: fc.record({ case: fc.constant("number" as const), value: fc.double() }) }),
  fc.record({ kind: fc.record({ case: fc.constant("truth" as const), value: fc.boolean() }) }),
  fc.constant({ kind: { case: undefined } }),
);
const anyFilter = fc.letrec((tie) => ({
  filter: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.record({
      kind: fc.record({
        case: fc.constant("condition" as const),
        value: fc.record({
          field: fc.constantFrom("id", "base", "meta.rank", "meta.none", "", "__proto__", "meta.", "x".repeat(600)),
          comparison: fc.constantFrom(...[0, 1, 2, 3, 4, 5, 6, 7, 8, 99].map((value) => value as Comparison)),
          values: fc.array(anyValue, { maxLength: 3 }),
        }),
      }),
    }),
    fc.record({
      kind: fc.record({ case: fc.constant("exists" as const), value: fc.constantFrom("id", "meta.rank", "") }),
    }),
    fc.record({ kind: fc.record({ case: fc.constant("not" as const), value: tie("filter") }) }),
    fc.record({
      kind: fc.record({
        case: fc.constantFrom("and" as const, "or" as const),
        value: fc.record({ filters: fc.array(tie("filter"), { maxLength: 3 }) }),
      }),
    }),
    fc.constant({ kind: { case: undefined } }),
  ),
}));

test("no request, however odd, ends in a fault or an answer to another query", async (t) => {
  const { zoo, main } = t.context;
  const { raw } = main;
  const { spaceId } = zoo.experts.one;
  const anyExample = fc.oneof(
    fc.record({ kind: fc.record({ case: fc.constant("text" as const), value: fc.string({ unit: "grapheme" }) }) }),
    fc.record({
      kind: fc.record({ case: fc.constant("modelId" as const), value: fc.constantFrom("m1", "", "nobody", "\0") }),
    }),
    fc.record({
      kind: fc.record({
        case: fc.constant("representation" as const),
        value: fc.record({
          spaceId: fc.constantFrom(spaceId, "", "x"),
          values: fc.uint8Array({ minLength: 0, maxLength: 4 * width + 1 }).map((bytes) => new Uint8Array(bytes)),
        }),
      }),
    }),
    fc.constant({ kind: { case: undefined } }),
  );
  const anyQuery = fc.record({
    positives: fc.array(anyExample, { maxLength: 3 }),
    negatives: fc.array(anyExample, { maxLength: 2 }),
    k: fc.constantFrom(0, 1, 5, 10_000, 10_001, 2 ** 32 - 1),
    filter: fc.option(anyFilter.filter, { nil: undefined }),
    experts: fc.array(fc.constantFrom("one", "two", "plain", "", spaceId.slice(0, 8), "0"), { maxLength: 2 }),
    trees: fc.array(fc.constantFrom("t", "", "\0"), { maxLength: 2 }),
    minScore: fc.option(fc.double(), { nil: undefined }),
    minCosine: fc.option(fc.double(), { nil: undefined }),
    maxPerBase: fc.constantFrom(0, 1, 2 ** 32 - 1),
    exact: fc.boolean(),
  });
  const good = { positives: [{ kind: { case: "modelId", value: "m1" } }], experts: ["one"], k: 2 } as const;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyQuery, { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      async (queries, withRecords) => {
        const request = { queries: [...queries.flatMap((query) => [query, good])] as never, withRecords };
        const { answers } = await raw.unary(RetrievalService.method.batchRetrieve, request);
        t.is(answers.length, 2 * queries.length);
        for (const [index, { outcome }] of answers.entries()) {
          if (index % 2 === 1) t.is(outcome.case === "hits" ? outcome.value.hits.length : outcome.value?.message, 2);
          else if (outcome.case === "error") t.not(outcome.value.code, status.INTERNAL, outcome.value.message);
        }
      },
    ),
    { numRuns: 30, seed: Number(process.env["FC_SEED"] ?? 7) },
  );
});

test("a filter as deep as is allowed goes through, and a deeper one is refused in its place", async (t) => {
  const { client, raw } = t.context.main;
  const nest = (depth: number): RetrievalQuery["filter"] => {
    let filter: NonNullable<RetrievalQuery["filter"]> = { exists: "id" };
    for (let i = 1; i < depth; i++) filter = { and: [filter] };
    return filter;
  };
  const [deep, deeper] = await client.retrieve([
    { positives: [{ text: "red" }], filter: nest(64) },
    { positives: [{ text: "red" }], filter: nest(65) },
  ]);
  t.false(deep instanceof ProbestreamError);
  assertError(t, deeper, { reason: "LIMIT_EXCEEDED", message: /64 levels/ });
  const failure = await raw
    .unary(RetrievalService.method.batchRetrieve, {
      queries: [{ positives: [{ kind: { case: "text", value: "x" } }], filter: toDeepWire(5000) as never }],
    })
    .catch((error: ServiceError) => error.code);
  t.is(failure, status.INTERNAL, "it cannot even be decoded");
});

function toDeepWire(depth: number): unknown {
  let filter: unknown = { kind: { case: "exists", value: "id" } };
  for (let i = 0; i < depth; i++) filter = { kind: { case: "not", value: filter } };
  return filter;
}

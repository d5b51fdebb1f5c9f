import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { type Client, connect, EmbedResult, where } from "../../clients/typescript/src/index.js";
import { makeExample } from "../../scripts/example.js";
import { openCatalogue } from "../../src/experts/catalogue.js";
import { type RunningServer, startServer } from "../../src/rpc/server.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";

interface Context {
  folder: string;
  client: Client;
  server: RunningServer;
  /** A model that is in the catalogue as `jazz`. */
  path: string;
  embedded: EmbedResult;
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "probestream-mistakes-"));
  await makeExample(join(folder, "example"));
  const server = await startServer({
    catalogue: openCatalogue(join(folder, "example", "experts")),
    backend: "plain",
    workerCount: 1,
    store: createMemoryStore(),
  });
  const client = connect(`127.0.0.1:${server.port}`);
  const path = join(folder, "example/models/jazz-lora-1.safetensors");
  const embedded = await client.embed({ path, id: "jazz" }, { index: { metadata: { rank: 8 } } });
  t.context = { folder, client, server, path, embedded };
});
test.after.always(async (t) => {
  await t.context.client.close();
  await t.context.server.close(0);
  await rm(t.context.folder, { recursive: true });
});

/** A call as a program without types makes it, and what it is told. */
type Mistake = readonly [name: string, call: (client: Untyped, context: Context) => unknown, message: RegExp];
type Untyped = Record<Exclude<keyof Client, Streamed>, (...given: readonly unknown[]) => Promise<unknown>> &
  Record<Streamed, (...given: readonly unknown[]) => AsyncIterable<unknown>>;
type Streamed = "embedIter" | "list" | "export";

async function drain(values: AsyncIterable<unknown>): Promise<void> {
  for await (const value of values) void value;
}

async function assertAllRefused(t: ExecutionContext<Context>, mistakes: readonly Mistake[]): Promise<void> {
  const client = t.context.client as unknown as Untyped;
  for (const [name, call, message] of mistakes) {
    t.log(name);
    await assertRefused(t, () => call(client, t.context), { reason: "FIELD_INVALID", message });
  }
}

const noScalars: readonly (readonly [unknown, string])[] = [
  [["anime"], "[ 'anime' ]"],
  [{ x: 1 }, "{ x: 1 }"],
  [null, "null"],
  [undefined, "undefined"],
  [new Date(0), "1970-01-01T00:00:00.000Z"],
  [() => {}, "[Function"],
  [12n, "12n"],
  [Number.NaN, "NaN"],
  [Symbol("s"), "Symbol(s)"],
];

for (const [value, shown] of noScalars) {
  test(`metadata that is ${shown} is refused and not made a truth`, async (t) => {
    const { client, path } = t.context;
    const metadata = { tags: value } as unknown as Readonly<Record<string, string>>;
    const message = /^the metadata field "tags" is .*; it must be a text, a finite number or a boolean$/;
    const told: unknown[] = [];
    const refusals: (() => Promise<unknown>)[] = [
      () => client.embed({ path, id: "refused" }, { index: { metadata } }),
      () => client.embed({ path, id: "refused", index: { metadata } }),
      () => client.update("jazz", { set: metadata }),
      () => {
        const records = [{ modelId: "refused", representation: t.context.embedded.representation, metadata }];
        return client.importRecords(records, { spaceId: t.context.embedded.embedding.spaceId });
      },
    ];
    for (const refusal of refusals) told.push(await refusal().catch((error: unknown) => error));
    for (const error of told) assertError(t, error, { reason: "FIELD_INVALID", message });
    t.true(String(told[0]).includes(shown), String(told[0]));
    t.deepEqual(await client.get("refused"), []);
    t.deepEqual((await client.get("jazz"))[0]?.metadata, { rank: 8 });
  });
}

test("of many models only the one whose metadata is none is refused", async (t) => {
  const { client, path } = t.context;
  const metadata = { tags: ["a"] } as unknown as Readonly<Record<string, string>>;
  const [good, bad] = await client.embed([path, { path, index: { metadata } }]);
  t.true(good instanceof EmbedResult);
  assertError(t, bad, { reason: "FIELD_INVALID", message: /"tags" is \[ 'a' \]/ });
});

test("options that a call does not have are refused with those that it has", async (t) => {
  const before = (await t.context.client.get("jazz"))[0]?.updated;
  await assertAllRefused(t, [
    [
      "update",
      (c) => c.update("jazz", { license: "mit" }),
      /^update takes an object with set, remove, and no 'license'$/,
    ],
    ["update, none", (c) => c.update("jazz"), /^update takes an object with set, remove; it was given undefined$/],
    ["classify, labels", (c, { embedded }) => c.classify(embedded, ["ring"]), /labels, .*; it was given \[ 'ring' \]$/],
    [
      "index",
      (c, { path }) => c.embed(path, { index: { modelId: "x" } }),
      /no 'modelId'; the model's own name goes beside/,
    ],
    ["import", (c) => c.importRecords([]), /^importRecords takes an object with spaceId, .*; it was given undefined$/],
    ["query, no positives", (c) => c.retrieve({ k: 1 }), /^a query has no positives; /],
    ["query, text", (c) => c.retrieve({ text: "red" }), /no 'text'; an example goes into positives: \{ positives: /],
    ["query, result", (c, { embedded }) => c.retrieve(embedded), /no query by itself; give \{ positives: result \}$/],
    ["query, nothing", (c) => c.retrieve(undefined), /^a query takes an object with positives, .*given undefined$/],
    [
      "embed",
      (c, { path }) => c.embed(path, { locl: true }),
      /^embed takes an object with experts, local, probes, texts, index, .*, retries, and no 'locl'$/,
    ],
    ["embed, expert", (c, { path }) => c.embed([path], { expert: "nope" }), /no 'expert'; name it by experts$/],
    ["embed, id", (c, { path }) => c.embed(path, { id: "a" }), /no 'id'; a model's own name goes beside its source: /],
    ["embed, null", (c, { path }) => c.embed(path, null), /^embed takes an object with .*; it was given null$/],
    ["embedIter", (c, { path }) => drain(c.embedIter([path], { locl: true })), /^embedIter takes .*, and no 'locl'$/],
    ["route", (c, { path }) => c.route(path, { expert: "a" }), /^route takes an object with experts, .* no 'expert'$/],
    [
      "retrieve",
      (c) => c.retrieve("red", { k: 1 }),
      /^retrieve takes .* signal, and no 'k'; it is a field of the query, /,
    ],
    ["duplicates", (c) => c.findDuplicates("jazz", { min: 1 }), /^findDuplicates takes .* minCosine, .* no 'min'$/],
    ["get", (c) => c.get("jazz", { space: "a" }), /^get takes .* spaces, and no 'space'$/],
    ["list", (c) => drain(c.list({ spaces: "a" })), /^list takes an object with space, .*, and no 'spaces'$/],
    ["export", (c) => drain(c.export({ spaces: "a" })), /^export takes an object with space, .*, and no 'spaces'$/],
    ["delete", (c) => c.delete("jazz", { spaces: "a" }), /^delete takes .* space, and no 'spaces'$/],
    ["connect", () => connect("127.0.0.1:1", { tsl: true } as object), /^connect takes .* retries, and no 'tsl'$/],
  ]);
  t.deepEqual((await t.context.client.get("jazz"))[0]?.updated, before);
});

test("values of another kind are refused with what is wanted", async (t) => {
  const positives = { modelId: "jazz" };
  await assertAllRefused(t, [
    [
      "texts",
      (c, { path }) => c.embed(path, { texts: ["red circle"] }),
      /^texts are given as 'red circle'; give vectors/,
    ],
    ["a text", (c, { path }) => c.embed(path, { texts: "red" }), /^texts are given as 'red'; give vectors/],
    ["names", (c, { path }) => c.embed(path, { experts: [1] }), /^experts is given as \[ 1 \]; give a name/],
    ["filter", (c) => c.retrieve({ positives, filter: "meta.a" }), /^a filter is given as 'meta.a'; give \{ field, op/],
    ["no filter", (c) => c.retrieve({ positives, filter: { and: 1 } }), /^a filter is given as \{ and: 1 \}; /],
    [
      "op",
      (c) => c.retrieve({ positives, filter: where("claim.rank", "ge" as "gte", 4) }),
      /^a filter compares "claim\.rank" by 'ge'; comparisons are eq, ne, in, lt, lte, gt and gte$/,
    ],
    [
      "op, list",
      (c) => c.retrieve({ positives, filter: { not: { field: "id", op: "eq", value: ["a"] } } }),
      /^a filter compares "id" by 'eq' with \[ 'a' \]; it takes one value, and a list is for in$/,
    ],
    [
      "op, in",
      (c) => drain(c.list({ filter: { field: "id", op: "in", value: "a" } })),
      /^a filter compares "id" by 'in' with 'a'; it takes a list of values$/,
    ],
    [
      "scalar",
      (c) => c.retrieve({ positives, filter: { field: "id", op: "eq", value: null } }),
      /compared with is null/,
    ],
    [
      "example",
      (c) => c.retrieve({ positives: { id: "jazz" } }),
      /^an example is given as \{ id: 'jazz' \}; give a text/,
    ],
    ["null", (c) => c.retrieve({ positives: null }), /^an example is given as null; give a text/],
    [
      "text",
      (c) => c.classify("jazz"),
      /^a text cannot be classified, .* or \{ modelId \} for a model of the catalogue$/,
    ],
    ["record", (c) => c.importRecords([{ modelId: "a" }], { spaceId: "x" }), /^the record "a" has no representation/],
  ]);
});

test("a name alone stands for a list of one", async (t) => {
  const { client, path, embedded } = t.context;
  const { expertName, spaceId } = embedded.embedding;
  t.is((await client.embed(path, { experts: expertName })).embedding.spaceId, spaceId);
  t.is((await client.route(path, { experts: expertName })).candidates.length, 1);
  const { hits } = await client.retrieve({ positives: embedded, experts: expertName, k: 1 });
  t.deepEqual(
    hits.map(({ modelId }) => modelId),
    ["jazz"],
  );
  t.is((await client.get([], { weightsHashes: embedded.weightsHash, spaces: expertName })).length, 1);
  t.deepEqual(await client.findDuplicates("jazz", { experts: expertName }), []);
});

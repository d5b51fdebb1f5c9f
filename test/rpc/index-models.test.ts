import { createHash } from "node:crypto";
import anyTest, { type TestFn } from "ava";
import { ProbestreamError } from "../../src/errors/probestream-error.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { createIndexer } from "../../src/retrieval/create-indexer.js";
import type { EmbedPort, PortResult } from "../../src/search/embed-port.js";
import { startEmbedder } from "../../src/search/embedder.js";
import { createLocalPort } from "../../src/search/local-port.js";
import type { IndexFacts } from "../../src/vectors/index-facts.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import { assertError } from "../helpers/assert-refused.js";
import { relativeError } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";
import { type RetrievalServer, startRetrievalServer } from "../helpers/retrieval-server.js";
import { createRetrievalZoo, type RetrievalZoo } from "../helpers/retrieval-zoo.js";
import { toModel } from "../helpers/rpc-messages.js";
import { exactRepresentation } from "../helpers/small-experts.js";

const test = anyTest as TestFn<{ zoo: RetrievalZoo; server: RetrievalServer }>;

test.before(async (t) => {
  const zoo = await createRetrievalZoo();
  t.context = { zoo, server: await startRetrievalServer(zoo) };
});
test.after.always(async (t) => {
  const { zoo, server } = t.context;
  t.deepEqual(server.faults, []);
  await server.close();
  await zoo.close();
});

interface Upload {
  readonly seed: number;
  readonly expert?: string;
  readonly index?: IndexFacts;
}

/** Streams layers one after another; gives what became of each. */
async function embed(port: EmbedPort, uploads: readonly Upload[]): Promise<(PortResult | ProbestreamError)[]> {
  const plans = await port.plan(
    uploads.map(({ seed, expert = "one" }) => {
      const name = `m.${expert}.weight`;
      const tensors = new Map([[name, { name, dtype: "F32", shape: [9, 7] }]]);
      return { modelId: `file ${seed}`, uploadId: "", tensors, metadata: new Map(), experts: [expert] };
    }),
  );
  const stream = await port.open();
  for (const [at, { seed, index }] of uploads.entries()) {
    const plan = plans[at];
    if (plan === undefined || plan instanceof ProbestreamError) throw plan ?? new Error("no plan");
    const bytes = bytesOf(seed);
    await stream.header(`file ${seed}`, plan, undefined, index);
    await stream.chunk(0, 0, bytes);
    await stream.footer(bytes.byteLength, new Uint8Array(0));
  }
  return (await stream.finish()).results.map(({ outcome }) => outcome);
}

function bytesOf(seed: number): Uint8Array {
  const { values } = randomMatrix(9, 7, seed);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The digest of a layer of one segment. */
function hashOf(seed: number): string {
  const segment = createHash("sha256").update(bytesOf(seed)).digest();
  return createHash("sha256").update(segment).digest("hex");
}

test("models are in the catalogue when their stream is answered, with all that is known of them", async (t) => {
  const { zoo, server } = t.context;
  const { client, store } = server;
  const uploads = Array.from({ length: 60 }, (_, i): Upload => {
    const facts = {
      modelId: i === 0 ? "日本 \u{1F600}" : `m${i}`,
      metadata: { rank: i },
      claims: { ss_sd_model_name: "v1.5" },
      fileHash: "f".repeat(64),
    };
    return { seed: i + 1, ...(i % 3 !== 1 && { index: facts }), expert: i % 2 === 0 ? "one" : "two" };
  });
  const outcomes = await embed(client, uploads);
  for (const [at, { seed, index, expert = "one" }] of uploads.entries()) {
    const outcome = outcomes[at];
    if (outcome === undefined || outcome instanceof ProbestreamError) throw t.fail(String(outcome));
    t.is(outcome.weightsHash, hashOf(seed));
    t.is(outcome.indexedId, index?.modelId);
    const { spaceId } = zoo.experts[expert as "one" | "two"];
    const [record] = await store.get(spaceId, [index?.modelId ?? `file ${seed}`]);
    if (index === undefined) {
      t.is(record, undefined);
      continue;
    }
    t.like(record, {
      weightsHash: hashOf(seed),
      fileHash: index.fileHash,
      base: "v1.5",
      metadata: index.metadata,
      claims: index.claims,
    });
    const expected = exactRepresentation(zoo.parameters[expert as "one" | "two"], randomMatrix(9, 7, seed));
    t.true(relativeError(record?.vector ?? [], expected) < 1e-5);
  }
  const again = await embed(client, [{ seed: 1, index: { modelId: "m3", base: "mine" } }]);
  t.like(again, [{ indexedId: "m3" }]);
  t.like((await client.getModels({ modelIds: ["m3"], spaces: ["one"] }))[0], { base: "mine", weightsHash: hashOf(1) });
});

test("an id that the header does not give is the model's own", async (t) => {
  const { client, store } = t.context.server;
  const { zoo } = t.context;
  await embed(client, [{ seed: 501, index: { modelId: "" } }]);
  t.truthy((await store.get(zoo.experts.one.spaceId, ["file 501"]))[0]);
});

test("what cannot be indexed fails alone, before its bytes are taken", async (t) => {
  const { client, raw } = t.context.server;
  const outcomes = await embed(client, [
    { seed: 601, index: { modelId: "x".repeat(1025) } },
    { seed: 602, index: { modelId: "fine" } },
    { seed: 603, index: { modelId: "m", fileHash: "abc" } },
  ]);
  const reasons = outcomes.map((outcome) => (outcome instanceof ProbestreamError ? outcome.reason : outcome.indexedId));
  t.deepEqual(reasons, ["LIMIT_EXCEEDED", "fine", "FIELD_INVALID"]);
  // Our client sends no such number.
  const tensors = [{ name: "m.one.weight", dtype: Dtype.F32, shape: [9n, 7n] }];
  const plans = [await raw.planOne({ tensors, experts: ["one"] }), await raw.planOne({ tensors, experts: ["one"] })];
  const numbers = [Number.POSITIVE_INFINITY, 1];
  const { response } = await raw.upload(
    plans.flatMap((plan, at) => {
      const metadata = { a: { kind: { case: "number" as const, value: numbers[at] ?? 0 } } };
      return [...toModel(plan, [bytesOf(604 + at)], { header: { index: { modelId: `raw ${at}`, metadata } } })];
    }),
  );
  const cases = response?.results.map(({ outcome }) =>
    outcome.case === "error" ? outcome.value.reason : outcome.case,
  );
  t.deepEqual(cases, [ErrorReason.FIELD_INVALID, "embedding"]);
});

test("a store that fails is that model's error, and no fault of the others", async (t) => {
  const { zoo } = t.context;
  const inner = createMemoryStore();
  const embedder = await startEmbedder({
    catalogue: zoo.catalogue,
    backend: "plain",
    workerCount: 1,
    indexer: createIndexer({
      ...inner,
      upsert: async (spaceId, records) => {
        if (records.some(({ id }) => id === "cursed")) throw new Error("the disk is on fire");
        await inner.upsert(spaceId, records);
      },
    }),
  });
  const port = createLocalPort(embedder);
  t.teardown(() => port.close());
  const outcomes = await embed(port, [
    { seed: 1, index: { modelId: "cursed" } },
    { seed: 2, expert: "two", index: { modelId: "fine" } },
    { seed: 3 },
  ]);
  assertError(t, outcomes[0], { reason: "INTERNAL", message: "the disk is on fire" });
  t.like(outcomes[1], { indexedId: "fine" });
  t.is((outcomes[2] as PortResult).indexedId, undefined);
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
});

test("without a store a model that is to be indexed is refused, and others are embedded", async (t) => {
  const { zoo } = t.context;
  const embedder = await startEmbedder({ catalogue: zoo.catalogue, backend: "plain", workerCount: 1 });
  const port = createLocalPort(embedder);
  t.teardown(() => port.close());
  const outcomes = await embed(port, [{ seed: 1, index: { modelId: "m" } }, { seed: 2 }]);
  assertError(t, outcomes[0], { reason: "STORE_MISSING", message: /--store/, kind: "precondition" });
  t.false(outcomes[1] instanceof ProbestreamError);
});

import { join } from "node:path";
import test from "ava";
import { toLoadingBytes } from "../../src/search/expert-memory.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { embedModel, planTestModel, sendModel, startTestEmbedder } from "../helpers/embed-client.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
import { randomMatrix } from "../helpers/random.js";
import { largeModel, smallExpert, smallModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { assertSmall, bytes } from "../helpers/small-streams.js";
import { createTemporaryFolder, type Teardown } from "../helpers/temporary-folder.js";
import { inTime } from "../helpers/until.js";

const shared = afterAll(test);
/** Has the experts `small`, which alone is ever loaded, and `other`; its plan says what budgets others are given. */
let probe: Embedder;
let root: string;

test.before(async () => {
  root = await createTemporaryFolder(shared);
  await writeSmallExpert(root);
  await writeExpert(join(root, "other"), createExpertParameters({ rows: 12, columns: 10, seed: 90 }));
  probe = await startTestEmbedder(shared, root);
});

/** One whose budget is tight; what it computes with is not what it is asked about. */
function startTight(t: Teardown, memoryBudgetBytes: number): Promise<Embedder> {
  return startTestEmbedder(t, root, { memoryBudgetBytes, backend: "plain" });
}

test.serial("a stream that is given up gives its memory back", async (t) => {
  const embedder = probe;
  await embedModel(embedder, smallModel(0));
  const before = embedder.memory.reservedBytes;
  const stream = embedder.openStream();
  t.is(embedder.memory.openStreams, 1);
  t.is(embedder.memory.reservedBytes, before + embedder.memory.streamBytes);
  const planned = await planTestModel(embedder, smallModel(1));
  await stream.header(planned.header);
  t.true(embedder.memory.reservedBytes > before + embedder.memory.streamBytes);
  await stream.chunk(0, 0, bytes(100));
  stream.abort();
  stream.abort();
  t.is(embedder.memory.openStreams, 0);
  t.is(embedder.memory.reservedBytes, before);
  await stream.chunk(0, 100, bytes(100));
  const outcomes = await inTime(stream.finish(), "the end of an aborted stream");
  assertError(t, outcomes[0]?.outcome, { reason: "FOOTER_MISSING", message: "the stream was given up" });
  t.is(embedder.memory.reservedBytes, before);
  await embedModel(embedder, smallModel(2));
});

test("a stream that is given up during a header gives its memory back, and its expert can be unloaded", async (t) => {
  // Room for one stream, one of the two experts and accumulators for both.
  const [small] = (await probe.catalogue.list()).experts;
  if (small === undefined) throw new Error("the catalogue is empty");
  const memoryBudgetBytes = probe.memory.streamBytes + 300 + toLoadingBytes(small);
  const embedder = await startTight(t, memoryBudgetBytes);
  const stream = embedder.openStream();
  const planned = await planTestModel(embedder, smallModel(1));
  const header = stream.header(planned.header);
  stream.abort();
  await inTime(header, "the header of an aborted stream");
  t.is(embedder.memory.openStreams, 0);
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
  const result = await inTime(embedModel(embedder, { ...smallModel(2), experts: ["other"] }), "the other expert");
  t.is(result.embeddings[0]?.expert.name, "other");
});

test("a stream beyond the memory budget is refused with the figures", async (t) => {
  const budget = 2 * probe.memory.streamBytes + 100_000;
  const embedder = await startTight(t, budget);
  const first = embedder.openStream();
  const second = embedder.openStream();
  const { streamBytes } = embedder.memory;
  await assertRefused(t, () => embedder.openStream(), {
    kind: "limit-exceeded",
    reason: "MEMORY_BUDGET",
    message: `one more stream needs ${streamBytes} bytes; ${2 * streamBytes} of ${budget} are taken (0 by experts, 2 streams at ${streamBytes} each). Try again later, or start the server with a larger --memory-budget`,
    facts: { needed: streamBytes, reserved: 2 * streamBytes, budget, experts: 0, streams: 2 },
  });
  first.abort();
  await sendModel(second, await planTestModel(embedder, smallModel(1)));
  assertSmall(t, (await second.finish())[0], 1, undefined);
  t.notThrows(() => embedder.openStream().abort());
});

test("an expert beyond the memory budget fails its model with the figures", async (t) => {
  const { memory } = probe;
  const budget = memory.streamBytes + 100;
  const embedder = await startTight(t, budget);
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)));
  assertError(t, (await stream.finish())[0]?.outcome, {
    kind: "limit-exceeded",
    reason: "MEMORY_BUDGET",
    message: new RegExp(
      `^the accumulators of model "model 1" needs 144 bytes; ${memory.streamBytes} of ${budget} are taken`,
    ),
  });
  t.is(embedder.memory.reservedBytes, 0);
});

test.serial("experts that are not in use make room for others", async (t) => {
  await embedModel(probe, smallModel(1));
  const { expertBytes } = probe.memory;
  const [small] = (await probe.catalogue.list()).experts;
  if (small === undefined) throw new Error("the catalogue is empty");
  const memoryBudgetBytes = probe.memory.streamBytes + 300 + toLoadingBytes(small);
  const embedder = await startTight(t, memoryBudgetBytes);
  for (const name of ["small", "other", "small", "other"]) {
    const result = await embedModel(embedder, { ...smallModel(1), experts: [name] });
    t.is(result.embeddings[0]?.expert.name, name);
    t.is(embedder.memory.expertBytes, expertBytes);
  }
  // Both at once find no room: neither can be unloaded.
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, { ...smallModel(1), experts: ["small", "other"] }));
  assertError(t, (await stream.finish())[0]?.outcome, {
    reason: "MEMORY_BUDGET",
    message: /^loading the expert "other" needs/,
  });
});

test("a slow worker holds the sender back, and all arrives", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeLargeExpert(root);
  const fast = await startTestEmbedder(t, root, { backend: "plain" });
  const model = largeModel("");
  const slow = await startTestEmbedder(t, root, { computeModule: faultyBackend("none", { delayMs: 5 }) });
  const expected = await embedModel(fast, model);
  const found = await embedModel(slow, model);
  t.deepEqual(found.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  t.true(found.timings.wait > 20, `${found.timings.wait} ms`);
});

test.serial(
  "text vectors and their images count against the memory plan for as long as they are in force",
  async (t) => {
    const embedder = probe;
    const { memory } = embedder;
    const planned = await planTestModel(embedder, smallModel(1));
    const texts = randomMatrix(1000, planned.header.experts.length * smallExpert.head.weight.columns, 3);
    const stream = embedder.openStream();
    await sendModel(stream, planned);
    const without = memory.reservedBytes;
    await sendModel(stream, await planTestModel(embedder, smallModel(2)), { texts });
    const images = 4 * texts.rows * smallExpert.head.weight.rows;
    t.true(memory.reservedBytes - without >= texts.values.byteLength + images);
    await sendModel(stream, await planTestModel(embedder, smallModel(3)), {
      texts: { ...texts, rows: 0, values: new Float32Array(0) },
    });
    await stream.finish();
    t.is(memory.reservedBytes, memory.expertBytes);
  },
);

test("text vectors that there is no room for fail the models that would be scored against them", async (t) => {
  const embedder = await startTight(t, probe.memory.streamBytes + 100_000);
  const texts = randomMatrix(10_000, smallExpert.head.weight.columns, 3);
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)), { texts });
  await sendModel(stream, await planTestModel(embedder, smallModel(2)));
  const outcomes = await stream.finish();
  for (const { outcome } of outcomes)
    assertError(t, outcome, { reason: "MEMORY_BUDGET", message: /10000 text vectors/ });
});

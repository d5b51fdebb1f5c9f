import { join } from "node:path";
import test from "ava";
import { toLoadingBytes } from "../../src/search/expert-memory.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import { embedModel, planTestModel, sendModel, startTestEmbedder } from "../helpers/embed-client.js";
import { createExpertParameters, writeExpert } from "../helpers/expert-folder.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
import { randomMatrix } from "../helpers/random.js";
import { largeModel, smallExpert, smallModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { assertSmall, bytes, startSmall } from "../helpers/small-streams.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { inTime } from "../helpers/until.js";

test("a stream that is given up gives its memory back", async (t) => {
  const embedder = await startSmall(t);
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
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  await writeExpert(join(root, "other"), createExpertParameters({ rows: 12, columns: 10, seed: 90 }));
  const probe = await startTestEmbedder(t, root);
  // Room for one stream, one of the two experts and accumulators for both.
  const [small] = (await probe.catalogue.list()).experts;
  if (small === undefined) throw new Error("the catalogue is empty");
  const memoryBudgetBytes = probe.memory.streamBytes + 300 + toLoadingBytes(small);
  const embedder = await startTestEmbedder(t, root, { memoryBudgetBytes });
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
  const root = await createTemporaryFolder(t);
  const { memory } = await startTestEmbedder(t, await writeSmallExpert(root));
  const budget = 2 * memory.streamBytes + 100_000;
  const embedder = await startTestEmbedder(t, join(root, "small"), { memoryBudgetBytes: budget });
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
  const root = await createTemporaryFolder(t);
  const { memory } = await startTestEmbedder(t, await writeSmallExpert(root));
  const budget = memory.streamBytes + 100;
  const embedder = await startTestEmbedder(t, join(root, "small"), { memoryBudgetBytes: budget });
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

test("experts that are not in use make room for others", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  await writeExpert(join(root, "other"), createExpertParameters({ rows: 12, columns: 10, seed: 90 }));
  const probe = await startTestEmbedder(t, root);
  await embedModel(probe, smallModel(1));
  const { expertBytes } = probe.memory;
  const [small] = (await probe.catalogue.list()).experts;
  if (small === undefined) throw new Error("the catalogue is empty");
  const memoryBudgetBytes = probe.memory.streamBytes + 300 + toLoadingBytes(small);
  const embedder = await startTestEmbedder(t, root, { memoryBudgetBytes });
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
  const slow = await startTestEmbedder(t, root, { computeModule: faultyBackend("none", { delayMs: 5 }) });
  const expected = await embedModel(fast, largeModel(""));
  const found = await embedModel(slow, largeModel(""));
  t.deepEqual(found.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  t.true(found.timings.wait > 20, `${found.timings.wait} ms`);
});

test("text vectors and their images count against the memory plan for as long as they are in force", async (t) => {
  const embedder = await startTestEmbedder(t, await writeSmallExpert(await createTemporaryFolder(t)));
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
});

test("text vectors that there is no room for fail the models that would be scored against them", async (t) => {
  const root = await writeSmallExpert(await createTemporaryFolder(t));
  const probe = await startTestEmbedder(t, root);
  const embedder = await startTestEmbedder(t, root, { memoryBudgetBytes: probe.memory.streamBytes + 100_000 });
  const texts = randomMatrix(10_000, smallExpert.head.weight.columns, 3);
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)), { texts });
  await sendModel(stream, await planTestModel(embedder, smallModel(2)));
  const outcomes = await stream.finish();
  for (const { outcome } of outcomes)
    assertError(t, outcome, { reason: "MEMORY_BUDGET", message: /10000 text vectors/ });
});

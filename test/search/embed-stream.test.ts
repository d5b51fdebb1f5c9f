import { join } from "node:path";
import test from "ava";
import type { Embedder } from "../../src/search/open-embedder.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import {
  embedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  toEmbedding,
} from "../helpers/embed-client.js";
import { createExpertParameters, toTensor, writeExpert } from "../helpers/expert-folder.js";
import { relativeError } from "../helpers/oracle.js";
import { randomMatrix } from "../helpers/random.js";
import {
  exactCosines,
  exactRepresentation,
  largeModel,
  smallExpert,
  smallModel,
  smallWeights,
  writeLargeExpert,
  writeSmallExpert,
} from "../helpers/small-experts.js";
import { assertSmall, bytes, startSmall, texts, tolerance } from "../helpers/small-streams.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";

const otherTexts = randomMatrix(2, 5, 72);
const shared = afterAll(test);
/** Has the small expert alone. */
let embedder: Embedder;

test.before(async () => {
  embedder = await startSmall(shared, { backend: "onnx" });
});

test("a model comes out with its figures", async (t) => {
  const result = await embedModel(embedder, smallModel(1));
  t.is(result.bytesReceived, 480);
  t.is(result.bytesTotal, 480);
  t.is(result.rowsProjected, 12);
  t.is(result.backends.length, 1);
  t.like(result.backends[0], { name: "onnx", rows: result.rowsProjected });
  t.regex(result.backends[0]?.device ?? "", /^onnxruntime .*CPU, 1 thread$/);
  for (const [stage, ms] of Object.entries(result.timings)) t.true(ms >= 0, stage);
  t.is(result.embeddings[0]?.expert.name, "small");
});

test("models in a row come out in order, and a bad one in the middle spoils no other", async (t) => {
  const stream = embedder.openStream();
  for (let seed = 0; seed < 5; seed++) {
    const planned = await planTestModel(embedder, smallModel(seed));
    const ranges =
      seed === 2 ? [float32Bytes(smallWeights(2).values.slice().fill(Number.NaN, 57, 58))] : planned.ranges;
    await sendModel(stream, { ...planned, ranges }, { chunkBytes: 37 });
  }
  const outcomes = await stream.finish();
  t.deepEqual(
    outcomes.map(({ modelId }) => modelId),
    [0, 1, 2, 3, 4].map((seed) => `model ${seed}`),
  );
  for (const [seed, outcome] of outcomes.entries()) if (seed !== 2) assertSmall(t, outcome, seed, undefined);
  assertError(t, outcomes[2]?.outcome, {
    kind: "invalid-input",
    reason: "NON_FINITE",
    message: 'tensor "m.fc.weight" has NaN at row 5, column 7; weights must be finite float32 numbers',
    facts: { tensor: "m.fc.weight", row: 5, column: 7, value: "NaN" },
  });
});

test("more models than a block takes come out in order", async (t) => {
  const stream = embedder.openStream();
  for (let seed = 0; seed < 150; seed++) await sendModel(stream, await planTestModel(embedder, smallModel(seed)));
  const outcomes = await stream.finish();
  t.is(outcomes.length, 150);
  for (const [seed, outcome] of outcomes.entries()) assertSmall(t, outcome, seed, undefined);
});

test("text vectors stay in force until others come, or none", async (t) => {
  const stream = embedder.openStream();
  const none = { rows: 0, columns: 0, values: new Float32Array(0) };
  const sent = [undefined, texts, undefined, otherTexts, undefined, none, undefined];
  const inForce = [undefined, texts, texts, otherTexts, otherTexts, undefined, undefined];
  for (const [seed, own] of sent.entries()) {
    const planned = await planTestModel(embedder, smallModel(seed));
    await sendModel(stream, planned, own === undefined ? {} : { texts: own });
  }
  const outcomes = await stream.finish();
  t.is(outcomes.length, sent.length);
  for (const [seed, outcome] of outcomes.entries()) assertSmall(t, outcome, seed, inForce[seed]);
});

test("two streams at once do not mix", async (t) => {
  const [a, b] = [embedder.openStream(), embedder.openStream()];
  const plannedA = await planTestModel(embedder, smallModel(1));
  const plannedB = await planTestModel(embedder, smallModel(2));
  await a.header({ ...plannedA.header, texts });
  await b.header({ ...plannedB.header, texts: otherTexts });
  for (let offset = 0; offset < 480; offset += 16) {
    await a.chunk(0, offset, plannedA.ranges[0]?.subarray(offset, offset + 16) ?? new Uint8Array(0));
    await b.chunk(0, offset, plannedB.ranges[0]?.subarray(offset, offset + 16) ?? new Uint8Array(0));
  }
  await b.footer(plannedB);
  await a.footer(plannedA);
  const [[first], [second]] = await Promise.all([a.finish(), b.finish()]);
  assertSmall(t, first, 1, texts);
  assertSmall(t, second, 2, otherTexts);
});

test("an expert that reads a slice is told the tensor's own row of a number that is not finite", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "small"), smallExpert, { rows: [12, 24] });
  const embedder = await startTestEmbedder(t, root);
  const values = randomMatrix(36, 10, 5).values;
  values[17 * 10 + 4] = Number.NEGATIVE_INFINITY;
  // Outside of the slice anything goes.
  values[30 * 10] = Number.NaN;
  const weight = toTensor("m.fc.weight", { rows: 36, columns: 10, values });
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(0, weight)));
  assertError(t, (await stream.finish())[0]?.outcome, {
    reason: "NON_FINITE",
    message: 'tensor "m.fc.weight" has -Infinity at row 17, column 4; weights must be finite float32 numbers',
  });
});

test("the tensors of a LoRA come in the header's order", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(join(root, "lora"), smallExpert, { kind: "lora", loraScale: "apply" });
  const embedder = await startTestEmbedder(t, root);
  const tensors = [
    toTensor("m.fc.lora_A.weight", randomMatrix(2, 10, 1)),
    toTensor("m.fc.lora_B.weight", randomMatrix(12, 2, 2)),
  ];
  const planned = await planTestModel(embedder, { modelId: "lora", tensors, experts: [] });
  const stream = embedder.openStream();
  await stream.header(planned.header);
  await stream.chunk(1, 0, bytes(4));
  await stream.footer(planned);
  await sendModel(stream, planned, { chunkBytes: 7 });
  const outcomes = await stream.finish();
  assertError(t, outcomes[0]?.outcome, {
    reason: "OFFSET_MISMATCH",
    message: "a chunk of tensor 1 came before tensor 0 was complete; tensors come in the header's order",
    facts: { found: 1, expected: 0 },
  });
  t.is(toEmbedding(outcomes[1]).bytesReceived, 176);
});

test("one model serves several experts at once", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeSmallExpert(root);
  const second = createExpertParameters({ rows: 12, columns: 10, objective: "classification", seed: 50 });
  await writeExpert(join(root, "labels"), second, {}, { labels: ["a", "b", "c", "d", "e"] });
  const embedder = await startTestEmbedder(t, root);
  const stream = embedder.openStream();
  const planned = await planTestModel(embedder, { ...smallModel(1), experts: ["labels", "small"] });
  t.is(planned.ranges.length, 1, "the layer is sent once");
  await sendModel(stream, planned, { texts });
  const [labels, small] = toEmbedding((await stream.finish())[0]).embeddings;
  t.is(labels?.expert.name, "labels");
  t.true(relativeError(labels?.representation ?? [], exactRepresentation(second, smallWeights(1))) <= tolerance);
  t.deepEqual([labels?.cosines.length, labels?.logits.length, labels?.probabilities.length], [0, 5, 5]);
  const exact = exactRepresentation(smallExpert, smallWeights(1));
  t.true(relativeError(small?.representation ?? [], exact) <= tolerance);
  t.true(relativeError(small?.cosines ?? [], exactCosines(smallExpert, exact, texts)) <= tolerance);
});

test("text vectors are passed over by a classification expert", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeExpert(
    join(root, "small"),
    createExpertParameters({ rows: 12, columns: 10, objective: "classification" }),
  );
  const embedder = await startTestEmbedder(t, root);
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(1)), { texts });
  const outcome = (await stream.finish())[0]?.outcome;
  if (outcome === undefined || outcome instanceof Error) return t.fail(String(outcome));
  t.deepEqual(
    outcome.embeddings.map(({ cosines, logits }) => [cosines.length, logits.length > 0]),
    [[0, true]],
  );
});

test("a stream that ends inside a model commits nothing of it", async (t) => {
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(0)));
  const planned = await planTestModel(embedder, smallModel(1));
  await stream.header(planned.header);
  await sendChunks(stream, planned, 480);
  const outcomes = await stream.finish();
  assertSmall(t, outcomes[0], 0, undefined);
  assertError(t, outcomes[1]?.outcome, {
    kind: "aborted",
    reason: "FOOTER_MISSING",
    message: 'the stream ended before the footer of model "model 1"; nothing of it was committed',
  });
});

test("a stream takes so many models and no more", async (t) => {
  const embedder = await startSmall(t, { backend: "plain", limits: { maxStreamModels: 2 } });
  const stream = embedder.openStream();
  for (const seed of [0, 1]) await sendModel(stream, await planTestModel(embedder, smallModel(seed)));
  const third = await planTestModel(embedder, smallModel(2));
  await assertRefused(t, () => stream.header(third.header), {
    kind: "limit-exceeded",
    reason: "LIMIT_EXCEEDED",
    message: "a stream takes 2 models at most; open another for the rest",
    facts: { limit: 2 },
  });
  t.is((await stream.finish()).length, 2);
});

test("a stream says when its answer is full", async (t) => {
  const embedder = await startSmall(t, { backend: "plain", limits: { maxAnswerBytes: 1000 } });
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, smallModel(0)));
  t.false(stream.isFull);
  await sendModel(stream, await planTestModel(embedder, smallModel(1)));
  t.true(stream.isFull);
  t.is((await stream.finish()).length, 2);
});

test("a failed model with much still to come is better answered now", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeLargeExpert(root);
  const embedder = await startTestEmbedder(t, root, { backend: "plain" });
  const planned = await planTestModel(embedder, largeModel(""));
  const stream = embedder.openStream();
  await stream.header(planned.header);
  t.false(stream.shouldStop);
  await stream.chunk(0, 1, bytes(4));
  t.true(stream.shouldStop);
  for (let sent = 4; sent < 17_000_000; sent += 1_000_000) await stream.chunk(0, 0, bytes(1_000_000));
  t.false(stream.shouldStop, "what is left is less than what is read and dropped");
  assertError(t, (await stream.finish())[0]?.outcome, { reason: "OFFSET_MISMATCH", message: /starts at 1,/ });
});

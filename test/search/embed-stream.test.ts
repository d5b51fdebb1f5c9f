import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { EmbedStream } from "../../src/search/embed-stream.js";
import type { Embedder, EmbedderOptions } from "../../src/search/embedder.js";
import { toLoadingBytes } from "../../src/search/expert-memory.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { assertError, assertRefused, type ExpectedError } from "../helpers/assert-refused.js";
import {
  embedModel,
  type PlannedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  toEmbedding,
} from "../helpers/embed-client.js";
import { createExpertParameters, toTensor, writeExpert } from "../helpers/expert-folder.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
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
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { inTime } from "../helpers/until.js";

const tolerance = 1e-5;
const texts = randomMatrix(3, 5, 71);
const otherTexts = randomMatrix(2, 5, 72);

async function startSmall(t: ExecutionContext, options: Partial<EmbedderOptions> = {}): Promise<Embedder> {
  return startTestEmbedder(t, await writeSmallExpert(await createTemporaryFolder(t)), options);
}

function assertSmall(
  t: ExecutionContext,
  outcome: Parameters<typeof toEmbedding>[0],
  seed: number,
  inForce: typeof texts | undefined,
): void {
  const [embedding] = toEmbedding(outcome).embeddings;
  if (embedding === undefined) throw t.fail("no embedding");
  const exact = exactRepresentation(smallExpert, smallWeights(seed));
  t.true(relativeError(embedding.representation, exact) <= tolerance);
  const cosines = inForce === undefined ? [] : exactCosines(smallExpert, exact, inForce);
  t.true(relativeError(embedding.cosines, cosines) <= tolerance);
}

test("a model comes out with its figures", async (t) => {
  const embedder = await startSmall(t);
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
  const embedder = await startSmall(t);
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
  const embedder = await startSmall(t);
  const stream = embedder.openStream();
  for (let seed = 0; seed < 150; seed++) await sendModel(stream, await planTestModel(embedder, smallModel(seed)));
  const outcomes = await stream.finish();
  t.is(outcomes.length, 150);
  for (const [seed, outcome] of outcomes.entries()) assertSmall(t, outcome, seed, undefined);
});

test("text vectors stay in force until others come, or none", async (t) => {
  const embedder = await startSmall(t);
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
  const embedder = await startSmall(t);
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

for (const [title, act, message] of [
  [
    "chunk",
    (stream: EmbedStream) => stream.chunk(0, 0, new Uint8Array(4)),
    "a chunk came before any header; open the model first",
  ],
  [
    "footer",
    (stream: EmbedStream) => stream.footer({ totalBytes: 0, digest: new Uint8Array(0) }),
    "a footer came before any header; open the model first",
  ],
] as const) {
  test(`a ${title} without a header is out of order, before the first model and between two`, async (t) => {
    const embedder = await startSmall(t);
    const stream = embedder.openStream();
    const expected = { kind: "invalid-input", reason: "STREAM_ORDER", message } as const;
    await assertRefused(t, () => act(stream), expected);
    await sendModel(stream, await planTestModel(embedder, smallModel(1)));
    await assertRefused(t, () => act(stream), expected);
    assertSmall(t, (await stream.finish())[0], 1, undefined);
  });
}

test("a header while a model is open is out of order", async (t) => {
  const embedder = await startSmall(t);
  const stream = embedder.openStream();
  const planned = await planTestModel(embedder, smallModel(1));
  await stream.header(planned.header);
  await assertRefused(t, () => stream.header(planned.header), {
    kind: "invalid-input",
    reason: "STREAM_ORDER",
    message: 'a header came while model "model 1" is still open; send its footer first',
  });
  await sendChunks(stream, planned, 100);
  await stream.footer(planned);
  const outcomes = await stream.finish();
  t.is(outcomes.length, 1);
  assertSmall(t, outcomes[0], 1, undefined);
});

interface Fault {
  readonly title: string;
  send(stream: EmbedStream, planned: PlannedModel): Promise<void>;
  readonly expected: ExpectedError;
}

const bytes = (count: number): Uint8Array => new Uint8Array(count);
const faults: readonly Fault[] = [
  {
    title: "a chunk that leaves a gap",
    send: async (stream) => {
      await stream.chunk(0, 0, bytes(8));
      await stream.chunk(0, 12, bytes(8));
    },
    expected: {
      kind: "invalid-input",
      reason: "OFFSET_MISMATCH",
      message: 'a chunk of tensor "m.fc.weight" starts at 12, the previous one ended at 8',
      facts: { tensor: "m.fc.weight", found: 12, expected: 8 },
    },
  },
  {
    title: "a chunk that comes again",
    send: async (stream) => {
      await stream.chunk(0, 0, bytes(8));
      await stream.chunk(0, 0, bytes(8));
    },
    expected: {
      reason: "OFFSET_MISMATCH",
      message: 'a chunk of tensor "m.fc.weight" starts at 0, the previous one ended at 8',
    },
  },
  {
    title: "a chunk that reaches beyond the range",
    send: async (stream) => {
      await stream.chunk(0, 0, bytes(476));
      await stream.chunk(0, 476, bytes(5));
    },
    expected: {
      kind: "invalid-input",
      reason: "TENSOR_OVERRUN",
      message: 'bytes 476 to 481 came for tensor "m.fc.weight", whose range has 480',
      facts: { tensor: "m.fc.weight", end: 481, length: 480 },
    },
  },
  {
    title: "a chunk after the whole range",
    send: async (stream) => {
      await stream.chunk(0, 0, bytes(480));
      await stream.chunk(0, 0, bytes(1));
    },
    expected: {
      reason: "TENSOR_OVERRUN",
      message: 'bytes 0 to 1 came for tensor "m.fc.weight", whose range has 480',
    },
  },
  {
    title: "an empty chunk",
    send: (stream) => stream.chunk(0, 0, bytes(0)),
    expected: {
      reason: "FIELD_INVALID",
      message: 'an empty chunk came for tensor "m.fc.weight"; send 1 byte or more',
    },
  },
  {
    title: "a chunk of a tensor that the header does not have",
    send: (stream) => stream.chunk(1, 0, bytes(4)),
    expected: {
      reason: "FIELD_INVALID",
      message: "chunk.tensor_index is 1; the header has 1 tensors, counted from 0",
      facts: { found: 1, tensors: 1 },
    },
  },
  {
    title: "a footer before the last byte",
    send: (stream) => stream.chunk(0, 0, bytes(479)),
    expected: {
      kind: "invalid-input",
      reason: "TENSOR_INCOMPLETE",
      message: 'the footer came after 479 of 480 bytes of tensor "m.fc.weight"; send the whole range first',
      facts: { tensor: "m.fc.weight", found: 479, expected: 480 },
    },
  },
];
for (const { title, send, expected } of faults) {
  test(`${title} fails its model, the rest of which is passed over, and no other`, async (t) => {
    const embedder = await startSmall(t);
    const stream = embedder.openStream();
    await sendModel(stream, await planTestModel(embedder, smallModel(0)));
    const planned = await planTestModel(embedder, smallModel(1));
    await stream.header(planned.header);
    await send(stream, planned);
    if (expected.reason !== "TENSOR_INCOMPLETE") await sendChunks(stream, planned, 100);
    await stream.footer(planned);
    await sendModel(stream, await planTestModel(embedder, smallModel(2)));
    const outcomes = await stream.finish();
    assertSmall(t, outcomes[0], 0, undefined);
    assertError(t, outcomes[1]?.outcome, expected);
    assertSmall(t, outcomes[2], 2, undefined);
    t.is(embedder.memory.openStreams, 0);
  });
}

test("a footer with another total or digest fails its model", async (t) => {
  const embedder = await startSmall(t);
  const stream = embedder.openStream();
  const wrong = Buffer.alloc(32, 0xab);
  await sendModel(stream, { ...(await planTestModel(embedder, smallModel(1))), totalBytes: 481 });
  const planned = await planTestModel(embedder, smallModel(1));
  await sendModel(stream, { ...planned, digest: wrong });
  await sendModel(stream, { ...(await planTestModel(embedder, smallModel(1))), digest: new Uint8Array(0) });
  await sendModel(stream, { ...(await planTestModel(embedder, smallModel(1))), digest: wrong.subarray(1) });
  const outcomes = await stream.finish();
  assertError(t, outcomes[0]?.outcome, {
    reason: "TENSOR_INCOMPLETE",
    message: "footer.total_bytes is 481, the ranges have 480 bytes together",
    facts: { found: 481, expected: 480 },
  });
  const found = Buffer.from(planned.digest).toString("hex");
  assertError(t, outcomes[1]?.outcome, {
    kind: "corrupt-data",
    reason: "DIGEST_MISMATCH",
    message: `the bytes that arrived have digest ${found}, the footer says ${wrong.toString("hex")}: they were damaged on the way, or the file changed during the upload; upload it again`,
    facts: { found, expected: wrong.toString("hex") },
  });
  assertSmall(t, outcomes[2], 1, undefined);
  assertError(t, outcomes[3]?.outcome, {
    reason: "FIELD_INVALID",
    message: "footer.digest has 31 bytes; a SHA-256 has 32, and without one the field stays empty",
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

for (const [title, change, expected] of [
  ["a header without experts", { experts: [] }, { reason: "FIELD_INVALID", message: /the header/ }],
  [
    "a header that names an unknown expert",
    { experts: ["0123456789abcdef"] },
    {
      kind: "not-found",
      reason: "EXPERT_NOT_FOUND",
      message: /no expert "0123456789abcdef" in the catalogue; it has small/,
    },
  ],
  [
    "text vectors of another width",
    { texts: randomMatrix(2, 6, 1) },
    {
      kind: "invalid-input",
      reason: "TEXT_WIDTH_MISMATCH",
      message: "text vectors are 6 wide, the expert compares with 5: use the text encoder it was trained with",
      facts: { found: 6, expected: 5 },
    },
  ],
  [
    "text vectors that are not finite",
    { texts: { rows: 1, columns: 5, values: new Float32Array(5).fill(Number.NaN) } },
    { reason: "FIELD_INVALID", message: "text vectors hold NaN or infinity; they must be finite" },
  ],
  [
    "a start without an earlier upload",
    { startOffsets: [480] },
    {
      kind: "precondition",
      reason: "UPLOAD_MISMATCH",
      message:
        'start_offsets[0] is 480, but the server can go on from 0 of 480 bytes of "m.fc.weight" at most; ask PlanEmbedding again with the upload id',
      facts: { found: 480, allowed: 0 },
    },
  ],
  [
    "a start where no segment ends",
    { startOffsets: [4] },
    { reason: "UPLOAD_MISMATCH", message: /^start_offsets\[0\] is 4, but/ },
  ],
] as const satisfies readonly (readonly [string, object, ExpectedError])[]) {
  test(`${title} fails its model and no other`, async (t) => {
    const embedder = await startSmall(t);
    const before = embedder.memory.reservedBytes;
    const stream = embedder.openStream();
    const planned = await planTestModel(embedder, smallModel(1));
    const header = { ...planned.header, ...change };
    await sendModel(stream, { ...planned, header });
    const none = { rows: 0, columns: 0, values: new Float32Array(0) };
    await sendModel(stream, await planTestModel(embedder, smallModel(2)), { texts: none });
    const outcomes = await stream.finish();
    assertError(t, outcomes[0]?.outcome, expected);
    assertSmall(t, outcomes[1], 2, undefined);
    t.is(embedder.memory.reservedBytes - embedder.memory.expertBytes, before);
  });
}

test("a header whose ranges are not the plan's is stale", async (t) => {
  const embedder = await startSmall(t);
  const stream = embedder.openStream();
  const planned = await planTestModel(embedder, smallModel(1));
  const tensors = planned.header.tensors.map((one) => ({ ...one, endByte: 440 }));
  await stream.header({ ...planned.header, tensors });
  const [outcome] = await stream.finish();
  assertError(t, outcome?.outcome, {
    kind: "precondition",
    reason: "PLAN_STALE",
    message:
      'the header\'s tensors are not those of the plan, which wants, in this order: "m.fc.weight" 0 to 480; copy them from PlanEmbedding',
  });
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
  const embedder = await startSmall(t);
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
  const embedder = await startSmall(t, { limits: { maxStreamModels: 2 } });
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
  const embedder = await startSmall(t, { limits: { maxAnswerBytes: 1000 } });
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
  const embedder = await startTestEmbedder(t, root);
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

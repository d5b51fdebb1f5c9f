import test from "ava";
import type { EmbedStream } from "../../src/search/embed-stream.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError, assertRefused, type ExpectedError } from "../helpers/assert-refused.js";
import { planTestModel, sendChunks, sendModel } from "../helpers/embed-client.js";
import { randomMatrix } from "../helpers/random.js";
import { smallModel } from "../helpers/small-experts.js";
import { assertSmall, bytes, startSmall } from "../helpers/small-streams.js";

const shared = afterAll(test);
/** Serial tests share it: each has streams of its own, and none is open before or after it. */
let embedder: Embedder;

test.before(async () => {
  embedder = await startSmall(shared);
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
  test.serial(`a ${title} without a header is out of order, before the first model and between two`, async (t) => {
    const stream = embedder.openStream();
    const expected = { kind: "invalid-input", reason: "STREAM_ORDER", message } as const;
    await assertRefused(t, () => act(stream), expected);
    await sendModel(stream, await planTestModel(embedder, smallModel(1)));
    await assertRefused(t, () => act(stream), expected);
    assertSmall(t, (await stream.finish())[0], 1, undefined);
  });
}

test.serial("a header while a model is open is out of order", async (t) => {
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
  /** Tensor, offset and bytes of each chunk after the header. */
  readonly chunks: readonly (readonly [tensorIndex: number, offset: number, length: number])[];
  readonly expected: ExpectedError;
}

const faults: readonly Fault[] = [
  {
    title: "a chunk that leaves a gap",
    chunks: [
      [0, 0, 8],
      [0, 12, 8],
    ],
    expected: {
      kind: "invalid-input",
      reason: "OFFSET_MISMATCH",
      message: 'a chunk of tensor "m.fc.weight" starts at 12, the previous one ended at 8',
      facts: { tensor: "m.fc.weight", found: 12, expected: 8 },
    },
  },
  {
    title: "a chunk that comes again",
    chunks: [
      [0, 0, 8],
      [0, 0, 8],
    ],
    expected: {
      reason: "OFFSET_MISMATCH",
      message: 'a chunk of tensor "m.fc.weight" starts at 0, the previous one ended at 8',
    },
  },
  {
    title: "a chunk that reaches beyond the range",
    chunks: [
      [0, 0, 476],
      [0, 476, 5],
    ],
    expected: {
      kind: "invalid-input",
      reason: "TENSOR_OVERRUN",
      message: 'bytes 476 to 481 came for tensor "m.fc.weight", whose range has 480',
      facts: { tensor: "m.fc.weight", end: 481, length: 480 },
    },
  },
  {
    title: "a chunk after the whole range",
    chunks: [
      [0, 0, 480],
      [0, 0, 1],
    ],
    expected: {
      reason: "TENSOR_OVERRUN",
      message: 'bytes 0 to 1 came for tensor "m.fc.weight", whose range has 480',
    },
  },
  {
    title: "an empty chunk",
    chunks: [[0, 0, 0]],
    expected: {
      reason: "FIELD_INVALID",
      message: 'an empty chunk came for tensor "m.fc.weight"; send 1 byte or more',
    },
  },
  {
    title: "a chunk of a tensor that the header does not have",
    chunks: [[1, 0, 4]],
    expected: {
      reason: "FIELD_INVALID",
      message: "chunk.tensor_index is 1; the header has 1 tensors, counted from 0",
      facts: { found: 1, tensors: 1 },
    },
  },
  {
    title: "a footer before the last byte",
    chunks: [[0, 0, 479]],
    expected: {
      kind: "invalid-input",
      reason: "TENSOR_INCOMPLETE",
      message: 'the footer came after 479 of 480 bytes of tensor "m.fc.weight"; send the whole range first',
      facts: { tensor: "m.fc.weight", found: 479, expected: 480 },
    },
  },
];
for (const { title, chunks, expected } of faults) {
  test.serial(`${title} fails its model, the rest of which is passed over, and no other`, async (t) => {
    const stream = embedder.openStream();
    await sendModel(stream, await planTestModel(embedder, smallModel(0)));
    const planned = await planTestModel(embedder, smallModel(1));
    await stream.header(planned.header);
    for (const [tensorIndex, offset, length] of chunks) await stream.chunk(tensorIndex, offset, bytes(length));
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

test.serial("a footer with another total or digest fails its model", async (t) => {
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
  test.serial(`${title} fails its model and no other`, async (t) => {
    const before = embedder.memory.reservedBytes - embedder.memory.expertBytes;
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

test.serial("a header whose ranges are not the plan's is stale", async (t) => {
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

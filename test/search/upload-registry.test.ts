import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { AbortedError } from "../../src/errors/probestream-error.js";
import { segmentBytes } from "../../src/projection/segments.js";
import type { EmbedStream } from "../../src/search/embed-stream.js";
import type { EmbedderOptions } from "../../src/search/embedder.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { createUploadRegistry } from "../../src/search/upload-registry.js";
import type { UploadStore } from "../../src/search/upload-store.js";
import { openDirectoryUploadStore } from "../../src/search/upload-stores/directory.js";
import { createMemoryUploadStore } from "../../src/search/upload-stores/memory.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import {
  embedModel,
  type PlannedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  toEmbedding,
} from "../helpers/embed-client.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
import { largeModel, smallModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder } from "../helpers/temporary-folder.js";
import { inTime, until } from "../helpers/until.js";
import { createUploadState } from "../helpers/upload-states.js";

const uploadId = "upload-0123456789";
const chunkBytes = 1024 * 1024 - 4096;

async function startLarge(t: ExecutionContext, options: Partial<EmbedderOptions> = {}): Promise<Embedder> {
  return startTestEmbedder(t, await writeLargeExpert(await createTemporaryFolder(t)), options);
}

/** Sends the first `bytes` of a model that is not to be completed. */
async function sendPart(embedder: Embedder, planned: PlannedModel, bytes: number): Promise<EmbedStream> {
  const stream = embedder.openStream();
  await stream.header(planned.header);
  await sendChunks(stream, { ...planned, ranges: planned.ranges.map((range) => range.subarray(0, bytes)) }, chunkBytes);
  return stream;
}

const cutAt = (segments: number): number => segments * segmentBytes + 1_234_567;

for (const segments of [1, 2]) {
  test(`an upload cut after ${segments} segments goes on there, with the same result bit for bit`, async (t) => {
    const embedder = await startLarge(t);
    const expected = await embedModel(embedder, largeModel(""));
    const first = await planTestModel(embedder, largeModel(uploadId));
    t.deepEqual(first.header.startOffsets, [0]);
    const [cut] = await (await sendPart(embedder, first, cutAt(segments))).finish();
    assertError(t, cut?.outcome, { reason: "FOOTER_MISSING", message: /"large"/ });
    const second = await planTestModel(embedder, largeModel(uploadId));
    t.deepEqual(second.header.startOffsets, [segments * segmentBytes]);
    const stream = embedder.openStream();
    await sendModel(stream, second, { chunkBytes: 77_777 });
    const result = toEmbedding((await stream.finish())[0]);
    t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
    t.is(result.bytesReceived, second.totalBytes - segments * segmentBytes);
    t.is(result.bytesTotal, second.totalBytes);
  });
}

test("a complete upload whose answer was lost is answered again without its bytes", async (t) => {
  const embedder = await startLarge(t);
  const stream = embedder.openStream();
  await sendModel(stream, await planTestModel(embedder, largeModel(uploadId)));
  const expected = toEmbedding((await stream.finish())[0]);
  const again = await planTestModel(embedder, largeModel(uploadId));
  t.deepEqual(again.header.startOffsets, [again.totalBytes]);
  const second = embedder.openStream();
  await sendModel(second, again);
  const result = toEmbedding((await second.finish())[0]);
  t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  t.is(result.bytesReceived, 0);
  t.is(result.bytesTotal, again.totalBytes);
});

test("a client may go on from an earlier segment than the last saved, or from the start", async (t) => {
  const embedder = await startLarge(t);
  const expected = await embedModel(embedder, largeModel(""));
  for (const start of [segmentBytes, 0]) {
    const id = `${uploadId}-${start}`;
    await (await sendPart(embedder, await planTestModel(embedder, largeModel(id)), cutAt(2))).finish();
    const planned = await planTestModel(embedder, largeModel(id));
    t.deepEqual(planned.header.startOffsets, [2 * segmentBytes]);
    const stream = embedder.openStream();
    await sendModel(stream, { ...planned, header: { ...planned.header, startOffsets: [start] } });
    const result = toEmbedding((await stream.finish())[0]);
    t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  }
});

test("an upload goes on in another process that shares the folder of uploads", async (t) => {
  const folder = await createTemporaryFolder(t);
  const before = await startLarge(t, { uploads: await openDirectoryUploadStore(folder) });
  const expected = await embedModel(before, largeModel(""));
  await (await sendPart(before, await planTestModel(before, largeModel(uploadId)), cutAt(1))).finish();
  await until(async () => {
    const { header } = await planTestModel(before, largeModel(uploadId));
    return header.startOffsets[0] === segmentBytes;
  }, "the checkpoint is saved");
  const after = await startLarge(t, { uploads: await openDirectoryUploadStore(folder) });
  const planned = await planTestModel(after, largeModel(uploadId));
  t.deepEqual(planned.header.startOffsets, [segmentBytes]);
  const stream = after.openStream();
  await sendModel(stream, planned);
  const result = toEmbedding((await stream.finish())[0]);
  t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
});

test("a resumed upload of other bytes has another digest, and starts again at 0 afterwards", async (t) => {
  const embedder = await startLarge(t);
  await (await sendPart(embedder, await planTestModel(embedder, largeModel(uploadId, 1)), cutAt(1))).finish();
  const changed = await planTestModel(embedder, largeModel(uploadId, 2));
  t.deepEqual(changed.header.startOffsets, [segmentBytes]);
  const stream = embedder.openStream();
  await sendModel(stream, changed);
  assertError(t, (await stream.finish())[0]?.outcome, {
    kind: "corrupt-data",
    reason: "DIGEST_MISMATCH",
    message: /damaged/,
  });
  t.deepEqual((await planTestModel(embedder, largeModel(uploadId, 2))).header.startOffsets, [0]);
});

test("an upload id that belongs to another model is refused in the plan and in the stream", async (t) => {
  const embedder = await startLarge(t);
  await (await sendPart(embedder, await planTestModel(embedder, largeModel(uploadId)), cutAt(1))).finish();
  const model = largeModel(uploadId);
  const [tensor] = model.tensors;
  if (tensor === undefined) throw t.fail("no tensor");
  const narrowed = { ...tensor, dtype: "F16", bytes: tensor.bytes.subarray(0, tensor.bytes.length / 2) };
  const other = { ...model, tensors: [narrowed] };
  const expected = {
    kind: "precondition",
    reason: "UPLOAD_MISMATCH",
    message: `the upload id "${uploadId}" belongs to another model, other ranges or another expert; choose a new id`,
    facts: { uploadId },
  } as const;
  await assertRefused(t, () => planTestModel(embedder, other), expected);
  const { header } = await planTestModel(embedder, { ...other, uploadId: "" });
  const stream = embedder.openStream();
  await stream.header({ ...header, uploadId });
  assertError(t, (await stream.finish())[0]?.outcome, expected);
  t.deepEqual((await planTestModel(embedder, largeModel(uploadId))).header.startOffsets, [segmentBytes]);
});

test("a second stream takes an upload over, and the first is told", async (t) => {
  const embedder = await startLarge(t);
  const expected = await embedModel(embedder, largeModel(""));
  const planned = await planTestModel(embedder, largeModel(uploadId));
  const ghost = await sendPart(embedder, planned, cutAt(1));
  const second = embedder.openStream();
  let again = planned;
  await until(async () => {
    again = await planTestModel(embedder, largeModel(uploadId));
    return again.header.startOffsets[0] === segmentBytes;
  }, "the checkpoint is saved");
  await sendModel(second, again);
  const result = toEmbedding((await second.finish())[0]);
  t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  await ghost.chunk(0, cutAt(1), new Uint8Array(1000));
  await ghost.footer(planned);
  const [outcome] = await inTime(ghost.finish(), "the ghost");
  assertError(t, outcome?.outcome, {
    kind: "aborted",
    reason: "UPLOAD_IN_USE",
    message: `another stream took over the upload "${uploadId}"; this one is given up`,
  });
  t.is(embedder.memory.openStreams, 0);
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
});

test("a stream that waits for its worker can be taken over", async (t) => {
  const embedder = await startLarge(t, { computeModule: faultyBackend("none", { delayMs: 30 }), workerCount: 2 });
  const planned = await planTestModel(embedder, largeModel(uploadId));
  const ghost = embedder.openStream();
  await ghost.header(planned.header);
  const sending = sendChunks(ghost, planned, chunkBytes);
  await delay(50);
  const second = embedder.openStream();
  await second.header(planned.header);
  await inTime(sending, "the chunks of the ghost");
  await inTime(ghost.footer(planned), "its footer");
  const [outcome] = await inTime(ghost.finish(), "its end");
  assertError(t, outcome?.outcome, { reason: "UPLOAD_IN_USE", message: /took over/ });
  second.abort();
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
});

/** Three blocks that wait for a slow worker, and no more. */
async function startGhost(
  t: ExecutionContext,
): Promise<{ embedder: Embedder; planned: PlannedModel; ghost: EmbedStream }> {
  const embedder = await startLarge(t, { computeModule: faultyBackend("none", { delayMs: 100 }) });
  const planned = await planTestModel(embedder, largeModel(uploadId));
  const ghost = await sendPart(embedder, planned, 3 * 1024 * 1024);
  return { embedder, planned, ghost };
}

test("a stream that is taken over while it ends gives its answer and its memory back", async (t) => {
  const { embedder, planned, ghost } = await startGhost(t);
  const finishing = ghost.finish();
  const second = embedder.openStream();
  await second.header(planned.header);
  const [outcome] = await inTime(finishing, "the end of the ghost");
  // Whichever came first.
  t.true(outcome?.outcome instanceof AbortedError, String(outcome?.outcome));
  second.abort();
  t.is(embedder.memory.openStreams, 0);
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
});

test("a stream that is taken over and then given up rejects nothing behind its back", async (t) => {
  // A rejection that nobody handles ends a server; here it would fail the test.
  const { embedder, planned, ghost } = await startGhost(t);
  const second = embedder.openStream();
  await second.header(planned.header);
  ghost.abort();
  await delay(300);
  second.abort();
  t.is(embedder.memory.openStreams, 0);
});

test("whoever comes with another model under an upload's id does not end that upload", async (t) => {
  const root = await createTemporaryFolder(t);
  await writeLargeExpert(root);
  await writeSmallExpert(root);
  const embedder = await startTestEmbedder(t, root);
  const expected = await embedModel(embedder, largeModel(""));
  const planned = await planTestModel(embedder, largeModel(uploadId));
  const victim = embedder.openStream();
  await victim.header(planned.header);
  const { header } = await planTestModel(embedder, smallModel(1));
  const intruder = embedder.openStream();
  await intruder.header({ ...header, uploadId });
  assertError(t, (await intruder.finish())[0]?.outcome, { reason: "UPLOAD_MISMATCH", message: /belongs to another/ });
  await sendChunks(victim, planned, chunkBytes);
  await victim.footer(planned);
  const result = toEmbedding((await victim.finish())[0]);
  t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
});

test("an upload goes on although its state cannot be saved", async (t) => {
  const errors: unknown[] = [];
  const failure = new Error("the disk is full");
  const uploads: UploadStore = { ...createMemoryUploadStore(), save: () => Promise.reject(failure) };
  const embedder = await startLarge(t, { uploads, onFault: (error) => errors.push(error) });
  t.is((await embedModel(embedder, largeModel(uploadId))).rowsProjected, 2502);
  t.true(errors.length > 0 && errors.every((error) => error === failure));
});

test("a plan that is asked for while a checkpoint is saved waits for it", async (t) => {
  const memory = createMemoryUploadStore();
  const slow: UploadStore = {
    ...memory,
    save: async (id, state) => {
      await delay(20);
      await memory.save(id, state);
    },
  };
  const registry = createUploadRegistry(slow, (error) => t.fail(String(error)));
  const { fingerprint, state } = createUploadState(1);
  const { ticket } = await registry.open(uploadId, fingerprint, () => {});
  ticket.save(state);
  ticket.close("unfinished");
  t.deepEqual(await registry.find(uploadId, fingerprint), state);
});

test("of checkpoints that come faster than they are saved the last is kept", async (t) => {
  const memory = createMemoryUploadStore();
  let saves = 0;
  const slow: UploadStore = {
    ...memory,
    save: async (id, state) => {
      saves++;
      await delay(10);
      await memory.save(id, state);
    },
  };
  const registry = createUploadRegistry(slow, (error) => t.fail(String(error)));
  const { fingerprint } = createUploadState(1);
  const { ticket } = await registry.open(uploadId, fingerprint, () => {});
  for (let seed = 0; seed < 10; seed++) ticket.save(createUploadState(seed).state);
  ticket.close("unfinished");
  t.deepEqual(await registry.find(uploadId, fingerprint), createUploadState(9).state);
  t.true(saves <= 2, `${saves} saves`);
});

test("a ticket that was taken over saves and removes nothing any more", async (t) => {
  const registry = createUploadRegistry(createMemoryUploadStore(), (error) => t.fail(String(error)));
  const { fingerprint, state } = createUploadState(1);
  let told = 0;
  const first = await registry.open(uploadId, fingerprint, () => told++);
  const second = await registry.open(uploadId, fingerprint, () => {});
  t.is(told, 1);
  second.ticket.save(state);
  first.ticket.save(createUploadState(2).state);
  first.ticket.forget();
  first.ticket.close("complete");
  t.deepEqual(await registry.find(uploadId, fingerprint), state);
  second.ticket.forget();
  second.ticket.close("complete");
  t.is(await registry.find(uploadId, fingerprint), undefined);
});

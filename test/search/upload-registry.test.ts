import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { AbortedError } from "../../src/errors/probestream-error.js";
import { segmentBytes } from "../../src/projection/segments.js";
import type { EmbedStream } from "../../src/search/embed-stream.js";
import type { EmbedderOptions } from "../../src/search/embedder.js";
import type { Embedder } from "../../src/search/open-embedder.js";
import { planModel } from "../../src/search/plan-model.js";
import { createUploadRegistry } from "../../src/search/upload-registry.js";
import type { UploadStore } from "../../src/search/upload-store.js";
import { openDirectoryUploadStore } from "../../src/search/upload-stores/directory.js";
import { createMemoryUploadStore } from "../../src/search/upload-stores/memory.js";
import { afterAll } from "../helpers/after-all.js";
import { assertError, assertRefused } from "../helpers/assert-refused.js";
import {
  embedModel,
  type PlannedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  toEmbedding,
  toManifest,
} from "../helpers/embed-client.js";
import { faultyBackend } from "../helpers/faulty-backend.js";
import { largeModel, smallModel, writeLargeExpert, writeSmallExpert } from "../helpers/small-experts.js";
import { createTemporaryFolder, type Teardown } from "../helpers/temporary-folder.js";
import { inTime, until } from "../helpers/until.js";
import { createUploadState } from "../helpers/upload-states.js";

const uploadId = "upload-0123456789";
const chunkBytes = 1024 * 1024 - 4096;

/** Two large models, whose bytes are drawn and hashed once. */
const [model, changedModel] = [largeModel("", 1), largeModel("", 2)];
const shared = afterAll(test);
/** The serial tests' own, each with upload ids of its own. */
let embedder: Embedder;
let planned: PlannedModel;
let changed: PlannedModel;
/** What comes of the first model when it is sent in one go. */
let expected: Float32Array | undefined;

test.before(async () => {
  embedder = await startLarge(shared);
  planned = await planTestModel(embedder, model);
  changed = await planTestModel(embedder, changedModel);
  expected = (await embedModel(embedder, model)).embeddings[0]?.representation;
});

async function startLarge(t: Teardown, options: Partial<EmbedderOptions> = {}): Promise<Embedder> {
  const root = await createTemporaryFolder(t);
  await writeLargeExpert(root);
  await writeSmallExpert(root);
  // Its sums are the same, bit for bit, wherever a layer was cut.
  return startTestEmbedder(t, root, { backend: "onnx", ...options });
}

/** A large model's plan under an upload id. */
async function planUpload(by: Embedder, id: string, whole = planned): Promise<PlannedModel> {
  const { answer } = await planModel(by, { uploadId: id, tensors: toManifest(model.tensors), experts: model.experts });
  const startOffsets = answer.starts.map(({ offset }) => offset);
  return { ...whole, header: { ...whole.header, uploadId: answer.uploadId, startOffsets } };
}

function assertExpected(t: ExecutionContext, { embeddings }: Awaited<ReturnType<typeof embedModel>>): void {
  t.truthy(expected);
  t.deepEqual(embeddings[0]?.representation, expected);
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
  test.serial(`an upload cut after ${segments} segments goes on there, with the same result bit for bit`, async (t) => {
    const id = `${uploadId}-cut-${segments}`;
    const first = await planUpload(embedder, id);
    t.deepEqual(first.header.startOffsets, [0]);
    const [cut] = await (await sendPart(embedder, first, cutAt(segments))).finish();
    assertError(t, cut?.outcome, { reason: "FOOTER_MISSING", message: /"large"/ });
    const second = await planUpload(embedder, id);
    t.deepEqual(second.header.startOffsets, [segments * segmentBytes]);
    const stream = embedder.openStream();
    await sendModel(stream, second, { chunkBytes: 77_777 });
    const result = toEmbedding((await stream.finish())[0]);
    assertExpected(t, result);
    t.is(result.bytesReceived, second.totalBytes - segments * segmentBytes);
    t.is(result.bytesTotal, second.totalBytes);
  });
}

test.serial("a complete upload whose answer was lost is answered again without its bytes", async (t) => {
  const id = `${uploadId}-lost`;
  const stream = embedder.openStream();
  await sendModel(stream, await planUpload(embedder, id));
  assertExpected(t, toEmbedding((await stream.finish())[0]));
  const again = await planUpload(embedder, id);
  t.deepEqual(again.header.startOffsets, [again.totalBytes]);
  const second = embedder.openStream();
  await sendModel(second, again);
  const result = toEmbedding((await second.finish())[0]);
  assertExpected(t, result);
  t.is(result.bytesReceived, 0);
  t.is(result.bytesTotal, again.totalBytes);
});

test.serial("a client may go on from an earlier segment than the last saved, or from the start", async (t) => {
  for (const start of [segmentBytes, 0]) {
    const id = `${uploadId}-earlier-${start}`;
    await (await sendPart(embedder, await planUpload(embedder, id), cutAt(2))).finish();
    const again = await planUpload(embedder, id);
    t.deepEqual(again.header.startOffsets, [2 * segmentBytes]);
    const stream = embedder.openStream();
    await sendModel(stream, { ...again, header: { ...again.header, startOffsets: [start] } });
    assertExpected(t, toEmbedding((await stream.finish())[0]));
  }
});

test("an upload goes on in another process that shares the folder of uploads", async (t) => {
  const folder = await createTemporaryFolder(t);
  const before = await startLarge(t, { uploads: await openDirectoryUploadStore(folder) });
  await (await sendPart(before, await planUpload(before, uploadId), cutAt(1))).finish();
  await until(async () => {
    const { header } = await planUpload(before, uploadId);
    return header.startOffsets[0] === segmentBytes;
  }, "the checkpoint is saved");
  const after = await startLarge(t, { uploads: await openDirectoryUploadStore(folder) });
  const again = await planUpload(after, uploadId);
  t.deepEqual(again.header.startOffsets, [segmentBytes]);
  const stream = after.openStream();
  await sendModel(stream, again);
  assertExpected(t, toEmbedding((await stream.finish())[0]));
});

test.serial("a resumed upload of other bytes has another digest, and starts again at 0 afterwards", async (t) => {
  const id = `${uploadId}-other-bytes`;
  await (await sendPart(embedder, await planUpload(embedder, id), cutAt(1))).finish();
  const other = await planUpload(embedder, id, changed);
  t.deepEqual(other.header.startOffsets, [segmentBytes]);
  const stream = embedder.openStream();
  await sendModel(stream, other);
  assertError(t, (await stream.finish())[0]?.outcome, {
    kind: "corrupt-data",
    reason: "DIGEST_MISMATCH",
    message: /damaged/,
  });
  t.deepEqual((await planUpload(embedder, id, changed)).header.startOffsets, [0]);
});

test.serial("an upload id that belongs to another model is refused in the plan and in the stream", async (t) => {
  const id = `${uploadId}-another-model`;
  await (await sendPart(embedder, await planUpload(embedder, id), cutAt(1))).finish();
  const [tensor] = model.tensors;
  if (tensor === undefined) throw t.fail("no tensor");
  const narrowed = { ...tensor, dtype: "F16", bytes: tensor.bytes.subarray(0, tensor.bytes.length / 2) };
  const other = { ...model, tensors: [narrowed], uploadId: id };
  const mismatch = {
    kind: "precondition",
    reason: "UPLOAD_MISMATCH",
    message: `the upload id "${id}" belongs to another model, other ranges or another expert; choose a new id`,
    facts: { uploadId: id },
  } as const;
  await assertRefused(t, () => planTestModel(embedder, other), mismatch);
  const { header } = await planTestModel(embedder, { ...other, uploadId: "" });
  const stream = embedder.openStream();
  await stream.header({ ...header, uploadId: id });
  assertError(t, (await stream.finish())[0]?.outcome, mismatch);
  t.deepEqual((await planUpload(embedder, id)).header.startOffsets, [segmentBytes]);
});

test.serial("a second stream takes an upload over, and the first is told", async (t) => {
  const id = `${uploadId}-second`;
  const ghost = await sendPart(embedder, await planUpload(embedder, id), cutAt(1));
  const second = embedder.openStream();
  let again = planned;
  await until(async () => {
    again = await planUpload(embedder, id);
    return again.header.startOffsets[0] === segmentBytes;
  }, "the checkpoint is saved");
  await sendModel(second, again);
  assertExpected(t, toEmbedding((await second.finish())[0]));
  await ghost.chunk(0, cutAt(1), new Uint8Array(1000));
  await ghost.footer(planned);
  const [outcome] = await inTime(ghost.finish(), "the ghost");
  assertError(t, outcome?.outcome, {
    kind: "aborted",
    reason: "UPLOAD_IN_USE",
    message: `another stream took over the upload "${id}"; this one is given up`,
  });
  t.is(embedder.memory.openStreams, 0);
  t.is(embedder.memory.reservedBytes, embedder.memory.expertBytes);
});

test("a stream that waits for its worker can be taken over", async (t) => {
  const slow = await startLarge(t, { computeModule: faultyBackend("none", { delayMs: 30 }), workerCount: 2 });
  const upload = await planUpload(slow, uploadId);
  const ghost = slow.openStream();
  await ghost.header(upload.header);
  const sending = sendChunks(ghost, upload, chunkBytes);
  await delay(50);
  const second = slow.openStream();
  await second.header(upload.header);
  await inTime(sending, "the chunks of the ghost");
  await inTime(ghost.footer(upload), "its footer");
  const [outcome] = await inTime(ghost.finish(), "its end");
  assertError(t, outcome?.outcome, { reason: "UPLOAD_IN_USE", message: /took over/ });
  second.abort();
  t.is(slow.memory.reservedBytes, slow.memory.expertBytes);
});

/** Three blocks that wait for a slow worker, and no more. */
async function startGhost(t: Teardown): Promise<{ slow: Embedder; upload: PlannedModel; ghost: EmbedStream }> {
  const slow = await startLarge(t, { computeModule: faultyBackend("none", { delayMs: 100 }) });
  const upload = await planUpload(slow, uploadId);
  return { slow, upload, ghost: await sendPart(slow, upload, 3 * 1024 * 1024) };
}

test("a stream that is taken over while it ends gives its answer and its memory back", async (t) => {
  const { slow, upload, ghost } = await startGhost(t);
  const finishing = ghost.finish();
  const second = slow.openStream();
  await second.header(upload.header);
  const [outcome] = await inTime(finishing, "the end of the ghost");
  // Whichever came first.
  t.true(outcome?.outcome instanceof AbortedError, String(outcome?.outcome));
  second.abort();
  t.is(slow.memory.openStreams, 0);
  t.is(slow.memory.reservedBytes, slow.memory.expertBytes);
});

test("a stream that is taken over and then given up rejects nothing behind its back", async (t) => {
  // A rejection that nobody handles ends a server; here it would fail the test.
  const { slow, upload, ghost } = await startGhost(t);
  const second = slow.openStream();
  await second.header(upload.header);
  ghost.abort();
  await delay(300);
  second.abort();
  t.is(slow.memory.openStreams, 0);
});

test.serial("whoever comes with another model under an upload's id does not end that upload", async (t) => {
  const id = `${uploadId}-intruder`;
  const upload = await planUpload(embedder, id);
  const victim = embedder.openStream();
  await victim.header(upload.header);
  const { header } = await planTestModel(embedder, smallModel(1));
  const intruder = embedder.openStream();
  await intruder.header({ ...header, uploadId: id });
  assertError(t, (await intruder.finish())[0]?.outcome, { reason: "UPLOAD_MISMATCH", message: /belongs to another/ });
  await sendChunks(victim, upload, chunkBytes);
  await victim.footer(upload);
  assertExpected(t, toEmbedding((await victim.finish())[0]));
});

test("an upload goes on although its state cannot be saved", async (t) => {
  const errors: unknown[] = [];
  const failure = new Error("the disk is full");
  const uploads: UploadStore = { ...createMemoryUploadStore(), save: () => Promise.reject(failure) };
  const forgetful = await startLarge(t, { uploads, onFault: (error) => errors.push(error) });
  t.is((await embedModel(forgetful, { ...model, uploadId })).rowsProjected, 2502);
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

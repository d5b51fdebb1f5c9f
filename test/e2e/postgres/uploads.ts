import test, { type ExecutionContext } from "ava";
import { segmentBytes } from "../../../src/projection/segments.js";
import type { EmbedStream } from "../../../src/search/embed-stream.js";
import type { Embedder } from "../../../src/search/open-embedder.js";
import { planModel } from "../../../src/search/plan-model.js";
import type { UploadStore } from "../../../src/search/upload-store.js";
import {
  openPostgresUploadStore,
  type PostgresUploadStoreOptions,
} from "../../../src/search/upload-stores/postgres.js";
import { openDatabase } from "../../../src/vectors/stores/postgres/database.js";
import { testUploadStore } from "../../contracts/upload-store.js";
import { assertError, assertRefused } from "../../helpers/assert-refused.js";
import {
  embedModel,
  type PlannedModel,
  planTestModel,
  sendChunks,
  sendModel,
  startTestEmbedder,
  type TestModel,
  toEmbedding,
  toManifest,
} from "../../helpers/embed-client.js";
import type { TestPostgres } from "../../helpers/postgres-server.js";
import { largeModel, writeLargeExpert } from "../../helpers/small-experts.js";
import { createTemporaryFolder } from "../../helpers/temporary-folder.js";
import { inTime, until } from "../../helpers/until.js";
import { createUploadState } from "../../helpers/upload-states.js";

const uploadId = "upload-0123456789";
const chunkBytes = 1024 * 1024 - 4096;
/** A segment and a part of the next. */
const cutBytes = segmentBytes + 1_234_567;

let made: TestModel | undefined;

/** The large model, whose 21 MB are made once. */
function toLarge(upload: string): TestModel {
  made ??= largeModel("");
  return { ...made, uploadId: upload };
}

/** Registers the tests of uploads that are kept on PostgreSQL. */
export function testPostgresUploads(postgres: TestPostgres): void {
  const open = async (
    options: Partial<PostgresUploadStoreOptions> & { readonly schema: string },
  ): Promise<UploadStore> => {
    const connectionString = await postgres.connectionString();
    return openPostgresUploadStore({ connectionString, maxConnections: 2, connectTimeoutMs: 60_000, ...options });
  };

  testUploadStore({
    name: `${postgres.name} upload`,
    leastExpiryMs: 1000,
    create: async (t, options) => {
      const store = await open({ schema: await postgres.schema(t), ...options });
      t.teardown(() => store.close());
      return store;
    },
  });

  test("a server that claims an upload ends another's right to save it", async (t) => {
    const schema = await postgres.schema(t);
    const [one, two] = [await open({ schema }), await open({ schema })];
    t.teardown(() => Promise.all([one.close(), two.close()]).then(() => {}));
    const taken = { kind: "aborted", reason: "UPLOAD_IN_USE", message: /another server took over .*upload-0/ } as const;
    await one.save(uploadId, createUploadState(1));
    await assertRefused(t, () => two.save(uploadId, createUploadState(2)), taken);
    await two.claim?.(uploadId);
    t.deepEqual(await two.load(uploadId), createUploadState(1));
    await two.save(uploadId, createUploadState(3));
    await assertRefused(t, () => one.save(uploadId, createUploadState(4)), taken);
    await one.remove(uploadId);
    await one.retire(uploadId);
    t.deepEqual(await one.load(uploadId), createUploadState(3));
    await two.remove(uploadId);
    t.is(await one.load(uploadId), undefined);
  });

  test("a claim ends another server's right to save also where nothing was saved yet, or what was has expired", async (t) => {
    const schema = await postgres.schema(t);
    const [one, two] = [await open({ schema, expiryMs: 1500 }), await open({ schema })];
    t.teardown(() => Promise.all([one.close(), two.close()]).then(() => {}));
    const taken = { kind: "aborted", reason: "UPLOAD_IN_USE", message: /another server took over/ } as const;
    const [fresh, old] = [`${uploadId}-fresh`, `${uploadId}-old`];
    await one.save(old, createUploadState(1));
    await until(async () => (await one.load(old)) === undefined, "it expires");
    for (const id of [fresh, old]) {
      await one.claim?.(id);
      await two.claim?.(id);
      t.is(await two.load(id), undefined);
      await assertRefused(t, () => one.save(id, createUploadState(1)), taken);
      await two.save(id, createUploadState(2));
      t.deepEqual(await one.load(id), createUploadState(2));
    }
  });

  test("a damaged upload on PostgreSQL counts as none", async (t) => {
    const schema = await postgres.schema(t);
    const store = await open({ schema });
    const database = openDatabase({ connectionString: await postgres.connectionString(), schema, maxConnections: 1 });
    t.teardown(() => Promise.all([store.close(), database.close()]).then(() => {}));
    await store.save(uploadId, createUploadState(1));
    await database.transaction(({ query }) =>
      query(`UPDATE ${database.schema}.uploads SET state = set_byte(state, 700, 255 - get_byte(state, 700))`),
    );
    t.is(await store.load(uploadId), undefined);
    await store.save(uploadId, createUploadState(2));
    t.deepEqual(await store.load(uploadId), createUploadState(2));
  });

  test("an upload begun on one server and cut is finished on another, with the same result bit for bit", async (t) => {
    const schema = await postgres.schema(t);
    const folder = await writeLargeExpert(await createTemporaryFolder(t)).then((path) => path.replace(/.large$/, ""));
    const [one, two] = [await start(t, folder, schema), await start(t, folder, schema)];
    const expected = await embedModel(two, toLarge(""));
    const planned = await planTestModel(one, toLarge(uploadId));
    const [cut] = await (await sendPart(one, planned, segmentBytes + cutBytes)).finish();
    assertError(t, cut?.outcome, { reason: "FOOTER_MISSING", message: /"large"/ });
    const again = await planWhenSaved(two, 2 * segmentBytes);
    const stream = two.openStream();
    await sendModel(stream, again, { chunkBytes: 77_777 });
    const result = toEmbedding((await stream.finish())[0]);
    t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
    t.is(result.bytesReceived, again.totalBytes - 2 * segmentBytes);
  });

  test("an upload that goes on at another server is given up at the first, which still holds it", async (t) => {
    const schema = await postgres.schema(t);
    const folder = await writeLargeExpert(await createTemporaryFolder(t)).then((path) => path.replace(/.large$/, ""));
    const [one, two] = [await start(t, folder, schema), await start(t, folder, schema)];
    const expected = await embedModel(two, toLarge(""));
    const planned = await planTestModel(one, toLarge(uploadId));
    const ghost = await sendPart(one, planned, cutBytes);
    const again = await planWhenSaved(two, segmentBytes);
    const stream = two.openStream();
    await stream.header(again.header);
    // The ghost's client sends on, and the next checkpoint is refused.
    const rest = { ...planned, header: { ...planned.header, startOffsets: [cutBytes] } };
    await sendChunks(ghost, rest, chunkBytes);
    await ghost.footer(planned);
    const [outcome] = await inTime(ghost.finish(), "the ghost");
    assertError(t, outcome?.outcome, { kind: "aborted", reason: "UPLOAD_IN_USE", message: /took over the upload/ });
    await sendChunks(stream, again, chunkBytes);
    await stream.footer(again);
    const result = toEmbedding((await stream.finish())[0]);
    t.deepEqual(result.embeddings[0]?.representation, expected.embeddings[0]?.representation);
  });

  async function start(t: ExecutionContext, experts: string, schema: string): Promise<Embedder> {
    return startTestEmbedder(t, experts, { backend: "onnx", uploads: await open({ schema }) });
  }
}

/** Sends the first `bytes` of a model that is not to be completed. */
async function sendPart(embedder: Embedder, planned: PlannedModel, bytes: number): Promise<EmbedStream> {
  const stream = embedder.openStream();
  await stream.header(planned.header);
  await sendChunks(stream, { ...planned, ranges: planned.ranges.map((range) => range.subarray(0, bytes)) }, chunkBytes);
  return stream;
}

/** Asks a server for the plan until it knows a checkpoint. */
async function planWhenSaved(embedder: Embedder, offset: number): Promise<PlannedModel> {
  const model = toLarge(uploadId);
  const { experts, tensors } = model;
  await until(async () => {
    const { answer } = await planModel(embedder, { uploadId, tensors: toManifest(tensors), experts });
    return answer.starts[0]?.offset === offset;
  }, "the checkpoint is saved");
  return planTestModel(embedder, model);
}

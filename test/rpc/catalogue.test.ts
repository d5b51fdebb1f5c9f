import { create } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import anyTest, { type TestFn } from "ava";
import {
  CatalogueService,
  ExportModelsRequestSchema,
  ImportModelsRequestSchema,
  SpaceState,
} from "../../src/gen/probestream/v1/catalogue_service_pb.js";
import type { FullRecord, RetrievalPort } from "../../src/retrieval/retrieval-port.js";
import { encodeMessage, toMethodDefinition } from "../../src/rpc/service-definition.js";
import { createCatalogueService } from "../../src/rpc/services/catalogue-service.js";
import { createMemoryStore } from "../../src/vectors/stores/memory.js";
import type { VectorStore } from "../../src/vectors/vector-store.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { toHeldBytes } from "../helpers/held-bytes.js";
import { type RetrievalServer, startRetrievalServer } from "../helpers/retrieval-server.js";
import {
  createRetrievalZoo,
  fillSpace,
  openZooRetrieval,
  type RetrievalZoo,
  toNewRecord,
  width,
} from "../helpers/retrieval-zoo.js";
import { toFailure } from "../helpers/rpc-client.js";
import { until } from "../helpers/until.js";

/** Starting a server takes a second: tests share two, each with spaces of its own. */
const test = anyTest as TestFn<{ zoo: RetrievalZoo; one: RetrievalServer; other: RetrievalServer; lists: string[] }>;

test.before(async (t) => {
  const zoo = await createRetrievalZoo();
  const inner = createMemoryStore();
  const lists: string[] = [];
  const store: VectorStore = {
    ...inner,
    list: async (spaceId, range) => {
      lists.push(spaceId);
      return inner.list(spaceId, range);
    },
  };
  const one = await startRetrievalServer(zoo, { store });
  const other = await startRetrievalServer(zoo);
  t.context = { zoo, one, other, lists };
});
test.after.always(async (t) => {
  const { one, other, zoo } = t.context;
  t.deepEqual([...one.faults, ...other.faults], []);
  await one.close();
  await other.close();
  await zoo.close();
});

async function exportAll(port: RetrievalPort, space: string): Promise<FullRecord[]> {
  const all: FullRecord[] = [];
  for await (const records of port.exportModels({ space })) all.push(...records);
  return all;
}

test("an export of one server, imported by another, is the same there bit for bit", async (t) => {
  const { zoo, one, other } = t.context;
  const { spaceId, name } = zoo.experts.one;
  const records = Array.from({ length: 700 }, (_, i) =>
    toNewRecord(`${i % 2 === 0 ? "m" : "日本 \u{1F600}"} ${i}`, i, {
      weightsHash: i.toString(16).padStart(64, "0"),
      fileHash: i % 3 === 0 ? "f".repeat(64) : "",
      tree: "t",
      base: "b",
      createdMs: 1_700_000_000_000 + i,
      updatedMs: 1_700_000_100_000 + i,
      metadata: { i, text: "x".repeat(i * 10), yes: i % 2 === 0, tiny: 1e-300 * i },
      claims: { c: "ü", long: "y".repeat(i) },
    }),
  );
  await fillSpace(one.store, zoo.experts.one, records);
  const count = await other.client.importModels(
    { spaceId, expertName: name },
    one.client.exportModels({ space: name }),
  );
  t.is(count, 700);
  const [here, there] = await Promise.all([exportAll(one.client, name), exportAll(other.client, name)]);
  t.deepEqual(there, here);
  t.deepEqual(
    there.map(({ spaceId: _, ...record }) => record),
    await other.store.list(spaceId, { limit: 1000 }),
  );
});

test.serial("an import leaves times that its records lack to the store", async (t) => {
  const { zoo, one } = t.context;
  const { spaceId, name } = zoo.experts.classes;
  await fillSpace(one.store, zoo.experts.classes, [toNewRecord("there", 1, { createdMs: 5, updatedMs: 6 })]);
  const before = Date.now();
  async function* batches() {
    yield [toNewRecord("there", 2), toNewRecord("new", 3), toNewRecord("dated", 4, { createdMs: 7, updatedMs: 8 })];
  }
  await one.client.importModels({ spaceId, expertName: name }, batches());
  const [there, fresh, dated] = await one.store.get(spaceId, ["there", "new", "dated"]);
  t.is(there?.createdMs, 5);
  t.true((there?.updatedMs ?? 0) >= before && (fresh?.createdMs ?? 0) >= before);
  t.like(dated, { createdMs: 7, updatedMs: 8 });
  await one.store.dropSpace(spaceId);
});

test("the catalogue's calls do what the use cases do", async (t) => {
  const { zoo, one } = t.context;
  const { client, store, raw } = one;
  const { two, plain } = zoo.experts;
  const hash = "a".repeat(64);
  await fillSpace(
    store,
    two,
    ["x", "y", "é"].map((id, i) => toNewRecord(id, i, { metadata: { i }, weightsHash: hash })),
  );
  await fillSpace(store, plain, [toNewRecord("y", 5)], true);
  const { store: description, spaces } = await client.listSpaces();
  t.is(description, store.description);
  t.like(
    spaces.find(({ spaceId }) => spaceId === plain.spaceId),
    { state: "filling", count: 1, width, isExpertPresent: true, isCalibrated: false, fields: [] },
  );
  t.like(
    spaces.find(({ spaceId }) => spaceId === two.spaceId),
    { state: "serving", isCalibrated: true, fields: ["meta.i"] },
  );
  t.is((await raw.unary(CatalogueService.method.listSpaces, {})).spaces[0]?.state, SpaceState.SERVING);

  const got = await client.getModels({ modelIds: ["y", "nobody"], weightsHashes: [hash] });
  t.deepEqual(
    got.map(({ id }) => id),
    ["y", "y", "x"],
  );
  t.deepEqual(got.at(-1)?.vector, toNewRecord("", 0).vector);

  const first = await client.listModels({ space: "two", pageSize: 2 });
  t.deepEqual(
    first.records.map(({ id }) => id),
    ["x", "y"],
  );
  t.false("vector" in (first.records[0] ?? {}));
  const last = await client.listModels({ space: "two", pageSize: 2, pageToken: first.nextPageToken });
  t.deepEqual([last.records.map(({ id }) => id), last.nextPageToken], [["é"], ""]);
  await assertRefused(t, () => client.listModels({ space: "plain", pageToken: first.nextPageToken }), {
    reason: "FIELD_INVALID",
    message: /page_token/,
  });
  const filtered = await client.listModels({ space: "two", filter: { field: "meta.i", op: "gt", value: 1 } });
  t.deepEqual(
    filtered.records.map(({ id }) => id),
    ["é"],
  );
  const full = await raw.unary(CatalogueService.method.listModels, { space: "two", withRepresentations: true });
  t.is(full.records[0]?.representation.byteLength, 4 * width);

  const updated = await client.updateModel("y", { i: null, note: "new", yes: false });
  t.deepEqual(
    updated.map(({ metadata }) => metadata),
    [
      { note: "new", yes: false },
      { note: "new", yes: false },
    ],
  );
  const both = { modelId: "y", set: { a: { kind: { case: "truth", value: true } } }, remove: ["a"] } as const;
  const failure = await raw
    .unary(CatalogueService.method.updateModel, { ...both, remove: [...both.remove] })
    .catch((error: ServiceError) => toFailure(error));
  t.like(failure, { code: status.INVALID_ARGUMENT, info: { reason: "FIELD_INVALID" } });

  t.is(await client.deleteModels(["y", "nobody"], "plain"), 1);
  t.is(await client.deleteModels(["x", "y"]), 2);
  await client.switchSpaces({ serve: [], retire: ["two"] });
  t.is((await client.listSpaces()).spaces.find(({ spaceId }) => spaceId === two.spaceId)?.state, "retired");
  await client.dropSpace(two.spaceId);
  await client.dropSpace("plain");
  await assertRefused(t, () => client.dropSpace(two.spaceId), {
    reason: "SPACE_NOT_FOUND",
    message: /nothing was indexed/,
  });
  await assertRefused(t, () => client.dropSpace(""), { reason: "FIELD_INVALID", message: /space_id is empty/ });
});

test("an import that goes wrong keeps what was written before and says why", async (t) => {
  const { zoo, other } = t.context;
  const { client, store } = other;
  const { spaceId, name: expertName } = zoo.experts.two;
  const record = (id: string, init: Parameters<typeof toNewRecord>[2] = {}) => ({
    ...toNewRecord(id, 1, init),
    createdMs: 1,
    updatedMs: 2,
  });
  async function* batches() {
    yield [record("a"), record("b")];
    yield [record("c"), record("d", { vector: new Float32Array(width + 1).fill(1) })];
    yield [record("e")];
  }
  await assertRefused(t, () => client.importModels({ spaceId, expertName }, batches()), {
    reason: "SHAPE_MISMATCH",
    message: /7 numbers/,
  });
  t.deepEqual(
    (await store.list(spaceId, { limit: 10 })).map(({ id }) => id),
    ["a", "b"],
  );
  const failing = async function* () {
    yield [record("f")];
    throw new Error("the source broke");
  };
  await t.throwsAsync(() => client.importModels({ spaceId, expertName }, failing()), { message: "the source broke" });
  // A source that stands still does not keep the answer waiting.
  const stuck = async function* () {
    yield [record("")];
    await new Promise(() => {});
  };
  await assertRefused(t, () => client.importModels({ spaceId, expertName }, stuck()), {
    reason: "FIELD_INVALID",
    message: /is empty/,
  });
});

test("a stream that nobody feeds or takes is ended", async (t) => {
  const { zoo } = t.context;
  const { store, retrieval } = openZooRetrieval(zoo);
  await fillSpace(store, zoo.experts.one, [toNewRecord("m", 1)]);
  const closing = new AbortController();
  const service = createCatalogueService(() => retrieval, { streamIdleMs: 30, closing: closing.signal });
  const { signal } = new AbortController();
  const endless = new Promise<never>(() => {});
  await assertRefused(t, () => service.importModels({ messages: { next: () => endless }, signal }), {
    reason: "STREAM_IDLE",
    message: "nothing came for 0.03 s (--idle-timeout); the import can be done again",
  });
  const request = create(ExportModelsRequestSchema, {});
  await assertRefused(t, () => service.exportModels(request, { send: () => endless, signal }), {
    reason: "STREAM_IDLE",
    message: /nothing went for 0.03 s/,
  });
  closing.abort();
  await assertRefused(t, () => service.importModels({ messages: { next: () => endless }, signal }), {
    reason: "SHUTTING_DOWN",
    message: /the import can be done again elsewhere/,
  });
});

test("records of another space, or none at all, are refused", async (t) => {
  const { zoo, other } = t.context;
  const { spaceId } = zoo.experts.classes;
  const send = (messages: readonly Parameters<typeof encodeMessage<typeof ImportModelsRequestSchema>>[1][]) =>
    sendRaw(
      other.target,
      messages.map((message) => encodeMessage(ImportModelsRequestSchema, message)),
    );
  const bytes = new Uint8Array(4 * width).fill(1);
  const good = { modelId: "m", representation: bytes };
  t.deepEqual(await send([]), { code: status.OK, count: 0n });
  t.deepEqual(await send([{ spaceId, expertName: "classes", records: [good] }, { records: [good] }]), {
    code: status.OK,
    count: 2n,
  });
  const cases = [
    [{ spaceId, records: [] }, status.INVALID_ARGUMENT],
    [{ spaceId: "x", records: [good] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, spaceId: "e".repeat(64) }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, representation: bytes.subarray(1) }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, representation: new Uint8Array(0) }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, modelId: "" }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, metadata: { a: {} } }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: [{ ...good, created: { seconds: -5n, nanos: 0 } }] }, status.INVALID_ARGUMENT],
    [{ spaceId, records: Array.from({ length: 1001 }, () => good) }, status.RESOURCE_EXHAUSTED],
  ] as const;
  for (const [message, code] of cases)
    t.like(await send([message as never]), { code }, JSON.stringify(message, toText).slice(0, 90));
});

test.serial("an export is read no faster than it is taken, and is let go when nobody takes it", async (t) => {
  const { zoo, one, lists } = t.context;
  const { client, store, raw } = one;
  const text = "x".repeat(60_000);
  const records = Array.from({ length: 1000 }, (_, i) => toNewRecord(`m${i}`, i, { metadata: { text } }));
  await fillSpace(store, zoo.experts.classes, records);
  const controller = new AbortController();
  let seen = 0;
  const taking = (async () => {
    for await (const batch of client.exportModels({ space: "classes" }, controller.signal)) {
      seen += batch.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
      if (seen > 50) controller.abort(new Error("enough"));
    }
  })();
  await t.throwsAsync(taking, { message: "enough" });
  const pages = lists.filter((spaceId) => spaceId === zoo.experts.classes.spaceId).length;
  // 2 MiB are read at a time: 34 of these records.
  t.true(pages <= 15, `${pages} of 30 pages were read`);
  await until(async () => toHeldBytes((await raw.serverInfo()).memoryPlan) === 0, "the export gave its memory back");
  await store.dropSpace(zoo.experts.classes.spaceId);
});

function toText(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

/** Sends messages as they are. */
async function sendRaw(
  target: string,
  messages: readonly Buffer[],
): Promise<{ readonly code: status; readonly count?: bigint; readonly message?: string }> {
  const { Client, credentials } = await import("@grpc/grpc-js");
  const client = new Client(target, credentials.createInsecure());
  const { path, responseDeserialize } = toMethodDefinition(CatalogueService.method.importModels);
  try {
    return await new Promise((resolve) => {
      const call = client.makeClientStreamRequest(
        path,
        (message: Buffer) => message,
        responseDeserialize,
        (error, response) => {
          if (error !== null) resolve({ code: error.code, message: error.details });
          else resolve({ code: status.OK, count: response?.importedCount ?? -1n });
        },
      );
      call.on("error", () => {});
      for (const message of messages) call.write(message);
      call.end();
    });
  } finally {
    client.close();
  }
}

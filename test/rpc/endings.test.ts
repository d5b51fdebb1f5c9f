import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectWithTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { type Child, startChild } from "../../bench/child-process.js";
import { readProcessMemory } from "../../bench/process-stats.js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
} from "../../src/gen/health/v1/health_pb.js";
import type { EmbedModelResponse, PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { encodeChunk } from "../../src/rpc/encode-chunk.js";
import { toMethodDefinition } from "../../src/rpc/service-definition.js";
import { openDirectoryUploadStore } from "../../src/search/upload-stores/directory.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { relativeError } from "../helpers/oracle.js";
import { randomValues } from "../helpers/random.js";
import { type ManifestInit, openRawClient, type RawClient, type RawUpload } from "../helpers/rpc-client.js";
import type { TestExpertSpec } from "../helpers/rpc-experts.js";
import { toChunk, toChunks, toFooter, toHeader, toModel } from "../helpers/rpc-messages.js";
import { startTestServer, type TestServer } from "../helpers/rpc-server.js";

interface Context {
  server: TestServer;
  client: RawClient;
}

const test = anyTest as TestFn<Context>;

const mib = 1024 * 1024;
const segment = 8 * mib;

/** 64 MiB: large enough to be interrupted. */
const large: TestExpertSpec = { name: "large", module: "large", shape: [16_384, 1024] };
const largeManifest: ManifestInit = {
  tensors: [{ name: "large.weight", dtype: Dtype.F32, shape: [16_384n, 1024n] }],
};
const largeBytes = 64 * mib;

const small: TestExpertSpec = { name: "small", module: "small", shape: [6, 5] };
const smallManifest: ManifestInit = { tensors: [{ name: "small.weight", dtype: Dtype.F32, shape: [6n, 5n] }] };
const smallValues = randomValues(30, 3);
const smallBytes = float32Bytes(smallValues);

test.before(async (t) => {
  const server = await startTestServer([large, small]);
  t.context = { server, client: openRawClient(server.target) };
});

test.after.always(async (t) => {
  t.context.client.close();
  await t.context.server.close();
});

/** Sends `count` MiB of zeros of the large layer, from `at` on. */
async function sendZeros(upload: RawUpload, count: number, at = 0): Promise<void> {
  const zeros = new Uint8Array(mib);
  for (let i = 0; i < count; i++) await upload.write(encodeChunk(0, at + i * mib, zeros));
}

/** Waits until the server has let go of all streams, 5 s at most. */
async function assertReleased(t: ExecutionContext<Context>, client = t.context.client): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { memoryPlan } = await client.serverInfo();
    const { reservedBytes = 0n, expertBytes = 0n, connectionBytes = 0n } = memoryPlan ?? {};
    if (memoryPlan?.openStreams === 0 && reservedBytes === expertBytes + connectionBytes) return;
    await sleep(50);
  }
  t.fail(`still held: ${JSON.stringify((await client.serverInfo()).memoryPlan, (_, v: unknown) => String(v))}`);
}

/** Asks for a plan until it goes on from somewhere: what a broken upload left is saved shortly after its end. */
async function findStart(client: RawClient, manifest: ManifestInit): Promise<{ planned: PlannedModel; start: number }> {
  for (let i = 0; ; i++) {
    const planned = await client.planOne(manifest);
    const start = Number(planned.starts[0]?.offset ?? 0n);
    if (start > 0 || i === 100) return { planned, start };
    await sleep(50);
  }
}

/** The rest of the large layer of zeros, from where the plan says. */
async function finishZeros(client: RawClient, planned: PlannedModel): Promise<EmbedModelResponse | undefined> {
  const start = Number(planned.starts[0]?.offset ?? 0n);
  const upload = client.openUpload();
  await upload.write(toHeader(planned));
  await sendZeros(upload, (largeBytes - start) / mib, start);
  await upload.write(toFooter(largeBytes));
  upload.end();
  return (await upload.answer).response;
}

function reasonOf(response: EmbedModelResponse | undefined, index = 0): string | undefined {
  const outcome = response?.results[index]?.outcome;
  return outcome?.case === "error" ? ErrorReason[outcome.value.reason] : outcome?.case;
}

test.serial("a cancelled upload is let go and commits nothing; it can be resumed", async (t) => {
  const { client } = t.context;
  const manifest = { ...largeManifest, uploadId: "cancelled-by-the-client" };
  const upload = client.openUpload();
  await upload.write(toHeader(await client.planOne(manifest)));
  await sendZeros(upload, 20);
  await sleep(200);
  upload.cancel();
  const { failure } = await upload.answer;
  t.is(failure?.code, status.CANCELLED);
  const { planned, start } = await findStart(client, manifest);
  t.true(start === segment || start === 2 * segment, `${start}`);
  const response = await finishZeros(client, planned);
  t.is(reasonOf(response), "embedding");
  await assertReleased(t);
});

test.serial("an upload past its deadline is let go", async (t) => {
  const { client } = t.context;
  const upload = client.openUpload({ deadlineMs: 300 });
  await upload.write(toHeader(await client.planOne(largeManifest)));
  const { failure } = await upload.answer;
  t.is(failure?.code, status.DEADLINE_EXCEEDED);
  await assertReleased(t);
});

test.serial("a client that is killed leaves an upload that can be resumed", async (t) => {
  const { client, server } = t.context;
  const uploadId = "killed-in-the-middle";
  const program = fileURLToPath(new URL("../helpers/rpc-child-client.js", import.meta.url));
  const child = await startChild({
    program: process.execPath,
    args: [program, server.target, "16384", "1024", uploadId, String(20 * mib)],
  });
  t.teardown(() => child.signal("SIGKILL"));
  await firstLine(child);
  child.signal("SIGKILL");
  await child.ended;
  const { start } = await findStart(client, { ...largeManifest, uploadId });
  t.true(start === segment || start === 2 * segment, `${start}`);
  await assertReleased(t);
});

test.serial(
  "a stream that ends without a footer commits nothing of that model, and all of those before it",
  async (t) => {
    const { client, server } = t.context;
    const planned = await client.planOne(smallManifest);
    const { response } = await client.upload([
      ...toModel(planned, [smallBytes]),
      toHeader(planned, { uploadId: "another-upload-id" }),
      toChunk(0, 0, smallBytes),
    ]);
    t.is(response?.results.length, 2);
    const [first, second] = response?.results ?? [];
    t.is(first?.outcome.case, "embedding");
    const bytes = first?.outcome.case === "embedding" ? first.outcome.value.embeddings[0]?.representation : undefined;
    const found = new Float32Array(new Uint8Array(bytes ?? []).buffer);
    const expected = server.experts.get("small")?.represent({ rows: 6, columns: 5, values: smallValues });
    t.true(relativeError(found, expected ?? []) < 1e-5);
    t.is(second?.outcome.case === "error" ? second.outcome.value.code : undefined, status.ABORTED);
    t.is(reasonOf(response, 1), "FOOTER_MISSING");
  },
);

test.serial("a stream without any message gets an empty answer", async (t) => {
  const { response } = await t.context.client.upload([]);
  t.deepEqual(response?.results, []);
});

test.serial("a bad number is answered within a second while most of the layer is still to come", async (t) => {
  const { client } = t.context;
  const upload = client.openUpload();
  await upload.write(toHeader(await client.planOne(largeManifest)));
  const bad = new Uint8Array(new Float32Array(mib / 4).fill(Number.NaN, 1000, 1001).buffer);
  const started = performance.now();
  await upload.write(encodeChunk(0, 0, bad));
  let sent = 1;
  while (!upload.isAnswered && sent < 63) {
    await sendZeros(upload, 1, sent++ * mib);
    // A client as slow as a real network: 64 MiB would take 1.3 s.
    await sleep(20);
  }
  const { response } = await upload.answer;
  const elapsed = performance.now() - started;
  t.log(`answered after ${elapsed.toFixed(0)} ms and ${sent} of 64 MiB`);
  t.is(reasonOf(response), "NON_FINITE");
  t.true(response?.stoppedEarly);
  t.true(elapsed < 1000, `${elapsed} ms`);
});

test.serial("a failed small model does not keep those after it from being embedded", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const { response } = await client.upload([
    ...toModel(planned, [float32Bytes(new Float32Array(30).fill(Number.NaN))], {
      header: { uploadId: "the-first-of-two" },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-second-of-two" } }),
  ]);
  t.is(reasonOf(response, 0), "NON_FINITE");
  t.is(reasonOf(response, 1), "embedding");
  t.false(response?.stoppedEarly);
});

test.serial("a header that cannot be read fails its model, and neither those before nor those after it", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-first-of-three" } }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "short" } }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "the-third-of-three" } }),
  ]);
  t.deepEqual(
    [0, 1, 2].map((index) => reasonOf(response, index)),
    ["embedding", "FIELD_INVALID", "embedding"],
  );
});

test.serial("text vectors that are refused fail the models that would be scored against them", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const width = 8;
  const vectors = { rows: 1, columns: width, data: new Uint8Array(new Float32Array(width).fill(1).buffer) };
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], {
      header: { uploadId: "with-texts-cut-off", textVectors: { ...vectors, rows: 2 } },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "without-texts-at-all" } }),
    ...toModel(planned, [smallBytes], {
      header: { uploadId: "ends-texts-in-force", textVectors: { rows: 0, columns: 0 } },
    }),
    ...toModel(planned, [smallBytes], { header: { uploadId: "again-without-texts" } }),
  ]);
  t.deepEqual(
    [0, 1, 2, 3].map((index) => reasonOf(response, index)),
    ["SHAPE_MISMATCH", "SHAPE_MISMATCH", "embedding", "embedding"],
  );
});

test.serial("sound models are not told of another one's header, but of texts that it kept from them", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne(smallManifest);
  const textVectors = { rows: 1, columns: 8, data: new Uint8Array(new Float32Array(8).fill(1).buffer) };
  const { response } = await client.upload([
    ...toModel(planned, [smallBytes], { header: { modelId: "bad", uploadId: "short", textVectors } }),
    ...toModel(planned, [smallBytes], { header: { modelId: "good", uploadId: "long-enough-a-name" } }),
  ]);
  const messages = response?.results.map(({ outcome }) => (outcome.case === "error" ? outcome.value.message : ""));
  t.deepEqual(messages, [
    "upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -",
    'the text vectors that would be in force came with model "bad", whose header was refused: upload_id has 5 characters; it must have 16 to 128 of A-Z a-z 0-9 _ -',
  ]);
});

test.serial("models beyond the most that a stream takes are left for the next, and none before is lost", async (t) => {
  const server = await startTestServer([small], { limits: { maxStreamModels: 2 } });
  const client = openRawClient(server.target);
  try {
    const planned = await client.planOne(smallManifest);
    const ids = ["the-first-of-three", "the-second-of-three", "the-third-of-three"];
    const { response } = await client.upload(
      ids.flatMap((uploadId) => [...toModel(planned, [smallBytes], { header: { uploadId } })]),
    );
    t.deepEqual(
      response?.results.map((_, index) => reasonOf(response, index)),
      ["embedding", "embedding"],
    );
    t.true(response?.stoppedEarly);
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("models that were finished keep their results when the stream falls asleep", async (t) => {
  const server = await startTestServer([small], { limits: { streamIdleMs: 300 } });
  const client = openRawClient(server.target);
  try {
    const planned = await client.planOne(smallManifest);
    const upload = client.openUpload();
    for (const message of toModel(planned, [smallBytes])) await upload.write(message);
    await upload.write(toHeader(planned, { uploadId: "the-second-of-two" }));
    const { response } = await upload.answer;
    t.deepEqual([reasonOf(response, 0), reasonOf(response, 1)], ["embedding", "STREAM_IDLE"]);
    t.true(response?.stoppedEarly);
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("an upload taken over under its id is given up in favour of the new one", async (t) => {
  const { client } = t.context;
  const planned = await client.planOne({ ...smallManifest, uploadId: "wanted-by-two-streams" });
  const ghost = client.openUpload();
  await ghost.write(toHeader(planned));
  await ghost.write(toChunk(0, 0, smallBytes.subarray(0, 60)));
  await sleep(100);
  const { response } = await client.upload(toModel(planned, [smallBytes]));
  t.is(reasonOf(response), "embedding");
  await ghost.write(toChunk(0, 60, smallBytes.subarray(60)));
  await ghost.write(toFooter(120));
  ghost.end();
  const { response: late } = await ghost.answer;
  t.is(reasonOf(late), "UPLOAD_IN_USE");
});

test.serial("a stream that brings nothing for too long is ended and can be resumed", async (t) => {
  const server = await startTestServer([large], { limits: { streamIdleMs: 300 } });
  const client = openRawClient(server.target);
  try {
    const manifest = { ...largeManifest, uploadId: "fallen-asleep-half-way" };
    const upload = client.openUpload();
    await upload.write(toHeader(await client.planOne(manifest)));
    await sendZeros(upload, 10);
    const { failure } = await upload.answer;
    t.is(failure?.code, status.ABORTED);
    t.is(failure?.info?.reason, "STREAM_IDLE");
    t.is(failure?.message, "nothing came for 0.3 s (--idle-timeout); the upload can be resumed");
    t.is((await findStart(client, manifest)).start, segment);
    await assertReleased(t, client);
  } finally {
    client.close();
    await server.close();
  }
});

test.serial(
  "an orderly shutdown says so to health watchers, answers open streams, and leaves them to be resumed",
  async (t) => {
    const state = await mkdtemp(join(tmpdir(), "probestream-state-"));
    t.teardown(() => rm(state, { recursive: true, force: true }));
    const manifest = { ...largeManifest, uploadId: "survives-the-server" };
    const first = await startTestServer([large], { uploads: await openDirectoryUploadStore(state) });
    const client = openRawClient(first.target);
    const watch = watchHealth(first.target);
    const upload = client.openUpload();
    await upload.write(toHeader(await client.planOne(manifest)));
    await sendZeros(upload, 40);
    await watch.until("SERVING");
    const closed = first.close(200);
    await watch.until("NOT_SERVING");
    t.false(upload.isAnswered);
    const { failure } = await upload.answer;
    t.is(failure?.code, status.UNAVAILABLE);
    t.is(failure?.info?.reason, "SHUTTING_DOWN");
    t.is(failure?.message, "the server is shutting down; the upload can be resumed elsewhere or later");
    await closed;
    watch.close();
    client.close();

    const second = await startTestServer([large], { uploads: await openDirectoryUploadStore(state) });
    const next = openRawClient(second.target);
    try {
      const planned = await next.planOne(manifest);
      // Up to 16 MiB were on their way when the server gave up.
      const start = Number(planned.starts[0]?.offset);
      t.true(start % segment === 0 && start >= 24 * mib && start <= 40 * mib, `${start}`);
      const response = await finishZeros(next, planned);
      t.is(reasonOf(response), "embedding");
      const outcome = response?.results[0]?.outcome;
      t.is(outcome?.case === "embedding" ? Number(outcome.value.bytesReceived) : 0, largeBytes - start);
    } finally {
      next.close();
      await second.close();
    }
  },
);

test.serial("streams beyond the memory budget are refused with the figures, and admitted again later", async (t) => {
  const budget = 32 * mib;
  const server = await startTestServer([small], { memoryBudgetBytes: budget });
  const client = openRawClient(server.target);
  try {
    const { memoryPlan } = await client.serverInfo();
    const streamBytes = Number(memoryPlan?.streamBytes);
    t.true(streamBytes < budget && 2 * streamBytes > budget, `${streamBytes}`);
    const planned = await client.planOne(smallManifest);
    const open = client.openUpload();
    await open.write(toHeader(planned));
    while ((await client.serverInfo()).memoryPlan?.expertBytes === 0n) await sleep(10);
    const { failure } = await client.upload(
      toModel(planned, [smallBytes], { header: { uploadId: "one-too-many-streams" } }),
    );
    t.is(failure?.code, status.RESOURCE_EXHAUSTED);
    t.is(failure?.info?.reason, "MEMORY_BUDGET");
    const { needed = "", reserved = "", experts = "" } = failure?.info?.metadata ?? {};
    t.deepEqual(failure?.info?.metadata, { needed, reserved, experts, budget: String(budget), streams: "1" });
    t.is(Number(needed), streamBytes);
    t.is(
      failure?.message,
      `one more stream needs ${streamBytes} bytes; ${reserved} of ${budget} are taken (${experts} by experts, 1 streams at ${streamBytes} each). Try again later, or start the server with a larger --memory-budget`,
    );
    await open.write(toChunk(0, 0, smallBytes));
    await open.write(toFooter(120));
    open.end();
    t.is(reasonOf((await open.answer).response), "embedding");
    const { response } = await client.upload(toModel(planned, [smallBytes]));
    t.is(reasonOf(response), "embedding");
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("an expert that does not fit into the budget fails its model with the figures", async (t) => {
  const server = await startTestServer([{ ...small, name: "fat", shape: [1_000_000, 5], module: "fat" }], {
    memoryBudgetBytes: 36 * mib,
  });
  const client = openRawClient(server.target);
  try {
    const tensors = [{ name: "fat.weight", dtype: Dtype.F32, shape: [1_000_000n, 5n] }];
    const { response } = await client.upload([
      toHeader(await client.planOne({ tensors })),
      ...toChunks(0, new Uint8Array(4), 4),
    ]);
    const [result] = response?.results ?? [];
    t.is(reasonOf(response), "MEMORY_BUDGET");
    const error = result?.outcome.case === "error" ? result.outcome.value : undefined;
    t.is(error?.code, status.RESOURCE_EXHAUSTED);
    t.regex(
      error?.message ?? "",
      /^loading the expert "fat" needs \d+ bytes; \d+ of 37748736 are taken \(0 by experts, 1 streams/,
    );
  } finally {
    client.close();
    await server.close();
  }
});

test.serial("a backend that is slower than the client holds the client back, not the memory", async (t) => {
  const program = fileURLToPath(new URL("../helpers/rpc-child-server.js", import.meta.url));
  const slow = new URL("../helpers/rpc-slow-backend.js", import.meta.url);
  const child = await startChild({ program: process.execPath, args: [program, t.context.server.catalogue, slow.href] });
  t.teardown(() => child.signal("SIGKILL"));
  const client = openRawClient(`127.0.0.1:${await firstLine(child)}`);
  t.teardown(() => client.close());
  const planned = await client.planOne(largeManifest);
  // One model first: loads the expert and whatever grows once.
  t.is(reasonOf(await finishZeros(client, planned)), "embedding");
  const { residentBytes: idle } = await readProcessMemory(child.pid);
  let peak = idle;
  for (let i = 0; i < 4; i++) {
    const done = finishZeros(client, await client.planOne(largeManifest));
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    while (!isDone) {
      peak = Math.max(peak, (await readProcessMemory(child.pid)).residentBytes);
      await sleep(20);
    }
    t.is(reasonOf(await done), "embedding");
  }
  const streamBytes = Number((await client.serverInfo()).memoryPlan?.streamBytes);
  t.log(
    `256 MiB: ${((peak - idle) / mib).toFixed(0)} MiB above idle, ${(streamBytes / mib).toFixed(0)} planned per stream`,
  );
  // What the garbage collector has not come round to is on top of the plan.
  t.true(peak - idle < streamBytes + 48 * mib, `${peak - idle}`);
});

async function firstLine(child: Child): Promise<string> {
  for await (const line of child.lines) return line;
  throw new Error(`the child said nothing: ${child.errorText()}`);
}

/** Watches the health of a whole server. */
function watchHealth(target: string): {
  until: (wanted: keyof typeof HealthCheckResponse_ServingStatus) => Promise<void>;
  close: () => void;
} {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(Health.method.watch);
  const channel = new Client(target, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const request = create(HealthCheckRequestSchema, { service: "" });
  const call = channel.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  const seen = new Set<string>();
  let wake = (): void => {};
  call.on("data", (response: ReturnType<typeof responseDeserialize>) => {
    seen.add(HealthCheckResponse_ServingStatus[response.status] ?? "");
    wake();
  });
  call.on("error", () => {});
  return {
    until: async (wanted) => {
      while (!seen.has(wanted)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => channel.close(),
  };
}

test("a server closes though what was no HTTP/2 came to it", async (t) => {
  const server = await startTestServer([]);
  const [host, port] = server.target.split(":");
  const socket = connectWithTls({ host, port: Number(port), ALPNProtocols: ["h2"] });
  await t.throwsAsync(once(socket, "secureConnect"));
  const begin = Date.now();
  await server.close();
  t.true(Date.now() - begin < 5000);
});

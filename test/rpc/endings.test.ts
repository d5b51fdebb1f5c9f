import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectWithTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import { startChild } from "../../bench/child-process.js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
} from "../../src/gen/health/v1/health_pb.js";
import { toMethodDefinition } from "../../src/rpc/service-definition.js";
import { openDirectoryUploadStore } from "../../src/search/upload-stores/directory.js";
import { firstLine } from "../helpers/first-line.js";
import { relativeError } from "../helpers/oracle.js";
import { openRawClient } from "../helpers/rpc-client.js";
import { toChunk, toFooter, toHeader, toModel } from "../helpers/rpc-messages.js";
import { startTestServer } from "../helpers/rpc-server.js";
import {
  assertReleased,
  findStart,
  finishZeros,
  large,
  largeBytes,
  largeManifest,
  mib,
  reasonOf,
  sendZeros,
  smallBytes,
  smallManifest,
  smallValues,
} from "../helpers/rpc-uploads.js";
import { createUploadsTest } from "../helpers/uploads-test.js";

const test = createUploadsTest();

const segment = 8 * mib;

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
  await assertReleased(t, client);
});

test.serial("an upload past its deadline is let go", async (t) => {
  const { client } = t.context;
  const upload = client.openUpload({ deadlineMs: 300 });
  await upload.write(toHeader(await client.planOne(largeManifest)));
  const { failure } = await upload.answer;
  t.is(failure?.code, status.DEADLINE_EXCEEDED);
  await assertReleased(t, client);
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
  await assertReleased(t, client);
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
  const server = await startTestServer([large], { backend: "plain", limits: { streamIdleMs: 300 } });
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
    const first = await startTestServer([large], { backend: "plain", uploads: await openDirectoryUploadStore(state) });
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

    const second = await startTestServer([large], { backend: "plain", uploads: await openDirectoryUploadStore(state) });
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

test("a server closes though what was no HTTP/2 came to it", async (t) => {
  const server = await startTestServer([], { backend: "plain" });
  const [host, port] = server.target.split(":");
  const socket = connectWithTls({ host, port: Number(port), ALPNProtocols: ["h2"] });
  await t.throwsAsync(once(socket, "secureConnect"));
  const begin = Date.now();
  await server.close();
  t.true(Date.now() - begin < 5000);
});

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

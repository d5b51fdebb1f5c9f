/**
 * The client that `resume.ts` kills: plans an upload, streams a seeded layer from where the plan says, and prints a JSON
 * object per line: `{"start": bytes}`, `{"sent": bytes}` after every chunk that the transport has taken, and
 * `{"representation": […], "bytesReceived": n}` or `{"error": "…"}` at the end.
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import type { PlannedModel } from "../src/gen/probestream/v1/embedding_service_pb.js";
import { type BenchClient, createBenchClient } from "./grpc-client.js";
import { denseManifest } from "./manifest.js";
import { SeededLayer } from "./seeded-layer.js";

const { values: options } = parseArgs({
  options: {
    target: { type: "string", default: "" },
    rows: { type: "string", default: "" },
    columns: { type: "string", default: "" },
    expert: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
    "upload-id": { type: "string", default: "" },
  },
});

const client = createBenchClient(options.target);
try {
  await upload(client);
} catch (error) {
  report({ error: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
} finally {
  client.close();
}

async function upload(client: BenchClient): Promise<void> {
  const [rows, columns] = [Number(options.rows), Number(options.columns)];
  const layer = new SeededLayer(rows * columns * 4, Number(options.seed));
  const planned = await client.plan(
    denseManifest({ rows, columns, expert: options.expert, uploadId: options["upload-id"] }),
  );
  const start = checkStart(planned, layer);
  report({ start });
  const digests = layer.segmentDigests();
  const call = client.startUpload();
  const { uploadId, tensors, targets } = planned;
  const spaceIds = targets.map(({ spaceId }) => spaceId);
  const header = { modelId: "resume", uploadId, tensors, spaceIds, startOffsets: [BigInt(start)] };
  await call.write({ part: { case: "header", value: header } });
  for (let offset = start; offset < layer.totalBytes; ) {
    const data = layer.read(offset, planned.chunkBytes);
    await call.write({ part: { case: "chunk", value: { tensorIndex: 0, offset: BigInt(offset), data } } });
    offset += data.length;
    report({ sent: offset });
  }
  const digest = createHash("sha256").update(digests).digest();
  await call.write({ part: { case: "footer", value: { totalBytes: BigInt(layer.totalBytes), digest } } });
  call.end();
  const { results } = await call.response;
  const outcome = results[0]?.outcome;
  if (outcome?.case !== "embedding") throw new Error(outcome?.value?.message ?? "no result");
  const bytes = outcome.value.embeddings[0]?.representation ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  report({
    representation: Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(index * 4, true)),
    bytesReceived: Number(outcome.value.bytesReceived),
  });
}

/** Where the plan wants the upload to go on, once its account of what came before is seen to be true. */
function checkStart(planned: PlannedModel, layer: SeededLayer): number {
  const start = planned.starts[0];
  const offset = Number(start?.offset ?? 0n);
  const known = Buffer.from(start?.segmentDigests ?? new Uint8Array(0));
  if (!known.equals(layer.segmentDigests(offset)))
    throw new Error(`the plan's digests up to ${offset} are not the layer's`);
  return offset;
}

/** Prints one line. Synchronous on a pipe, so that nothing printed is lost when the process is killed. */
function report(line: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

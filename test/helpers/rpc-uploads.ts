import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionContext } from "ava";
import type { EmbedModelResponse, PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { ErrorReason } from "../../src/gen/probestream/v1/error_reason_pb.js";
import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { encodeChunk } from "../../src/rpc/encode-chunk.js";
import { float32Bytes } from "../../src/weights/safetensors-writer.js";
import { toHeldBytes } from "./held-bytes.js";
import { randomValues } from "./random.js";
import type { ManifestInit, RawClient, RawUpload } from "./rpc-client.js";
import type { TestExpertSpec } from "./rpc-experts.js";
import { toFooter, toHeader } from "./rpc-messages.js";

export const mib = 1024 * 1024;

/** An expert of a layer of 64 MiB: large enough to be interrupted. */
export const large: TestExpertSpec = { name: "large", module: "large", shape: [16_384, 1024] };
export const largeManifest: ManifestInit = {
  tensors: [{ name: "large.weight", dtype: Dtype.F32, shape: [16_384n, 1024n] }],
};
export const largeBytes = 64 * mib;

/** An expert of a layer of 120 bytes, and such a layer. */
export const small: TestExpertSpec = { name: "small", module: "small", shape: [6, 5] };
export const smallManifest: ManifestInit = {
  tensors: [{ name: "small.weight", dtype: Dtype.F32, shape: [6n, 5n] }],
};
export const smallValues = randomValues(30, 3);
export const smallBytes = float32Bytes(smallValues);

/** Sends `count` MiB of zeros of the large layer, from `at` on. */
export async function sendZeros(upload: RawUpload, count: number, at = 0): Promise<void> {
  const zeros = new Uint8Array(mib);
  for (let i = 0; i < count; i++) await upload.write(encodeChunk(0, at + i * mib, zeros));
}

/** The rest of the large layer of zeros, from where the plan says. */
export async function finishZeros(client: RawClient, planned: PlannedModel): Promise<EmbedModelResponse | undefined> {
  const start = Number(planned.starts[0]?.offset ?? 0n);
  const upload = client.openUpload();
  await upload.write(toHeader(planned));
  await sendZeros(upload, (largeBytes - start) / mib, start);
  await upload.write(toFooter(largeBytes));
  upload.end();
  return (await upload.answer).response;
}

/** Asks for a plan until it goes on from somewhere: what a broken upload left is saved shortly after its end. */
export async function findStart(
  client: RawClient,
  manifest: ManifestInit,
): Promise<{ planned: PlannedModel; start: number }> {
  for (let i = 0; ; i++) {
    const planned = await client.planOne(manifest);
    const start = Number(planned.starts[0]?.offset ?? 0n);
    if (start > 0 || i === 100) return { planned, start };
    await sleep(50);
  }
}

/** Waits until the server has let go of all streams, 5 s at most. */
export async function assertReleased(t: ExecutionContext<unknown>, client: RawClient): Promise<void> {
  for (let i = 0; i < 100; i++) {
    const { memoryPlan } = await client.serverInfo();
    if (memoryPlan?.openStreams === 0 && toHeldBytes(memoryPlan) === 0) return;
    await sleep(50);
  }
  t.fail(`still held: ${JSON.stringify((await client.serverInfo()).memoryPlan, (_, v: unknown) => String(v))}`);
}

/** What became of a model: the reason of its error, or `embedding`. */
export function reasonOf(response: EmbedModelResponse | undefined, index = 0): string | undefined {
  const outcome = response?.results[index]?.outcome;
  return outcome?.case === "error" ? ErrorReason[outcome.value.reason] : outcome?.case;
}

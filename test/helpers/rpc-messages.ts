import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EmbedModelHeaderSchema, PlannedModel } from "../../src/gen/probestream/v1/embedding_service_pb.js";
import { segmentBytes } from "../../src/projection/segments.js";
import type { UploadMessage } from "./rpc-client.js";

/** Fields of a header, right or wrong. */
export type HeaderInit = MessageInitShape<typeof EmbedModelHeaderSchema>;

/** The header that a plan asks for, with fields in place of its own. */
export function toHeader(plan: PlannedModel, changes: HeaderInit = {}): UploadMessage {
  const { tensors, uploadId, targets, starts } = plan;
  return {
    part: {
      case: "header",
      value: {
        modelId: "m",
        uploadId,
        tensors,
        spaceIds: targets.map(({ spaceId }) => spaceId),
        startOffsets: starts.map(({ offset }) => offset),
        ...changes,
      },
    },
  };
}

/** One chunk. */
export function toChunk(tensorIndex: number, offset: number | bigint, data: Uint8Array): UploadMessage {
  return { part: { case: "chunk", value: { tensorIndex, offset: BigInt(offset), data: new Uint8Array(data) } } };
}

/** A footer; without a digest unless one is given. */
export function toFooter(totalBytes: number | bigint, digest: Uint8Array = new Uint8Array(0)): UploadMessage {
  return {
    part: { case: "footer", value: { totalBytes: BigInt(totalBytes), digest: new Uint8Array(digest) } },
  };
}

/** All chunks of one tensor's range. */
export function* toChunks(tensorIndex: number, range: Uint8Array, chunkBytes: number): Generator<UploadMessage> {
  for (let at = 0; at < range.byteLength; at += chunkBytes) {
    yield toChunk(tensorIndex, at, range.subarray(at, at + chunkBytes));
  }
}

/** A whole, faultless model: header, chunks, footer with digest. `ranges` in the plan's order. */
export function* toModel(
  plan: PlannedModel,
  ranges: readonly Uint8Array[],
  options: { readonly chunkBytes?: number; readonly header?: HeaderInit } = {},
): Generator<UploadMessage> {
  const { chunkBytes = 1024 * 1024 - 4096, header = {} } = options;
  yield toHeader(plan, header);
  for (const [index, range] of ranges.entries()) yield* toChunks(index, range, chunkBytes);
  yield toFooter(
    ranges.reduce((sum, range) => sum + range.byteLength, 0),
    toDigest(ranges),
  );
}

/** SHA-256 over the SHA-256s of all segments of all ranges. */
export function toDigest(ranges: readonly Uint8Array[]): Uint8Array {
  const whole = createHash("sha256");
  for (const range of ranges) {
    for (let at = 0; at < range.byteLength; at += segmentBytes) {
      whole.update(
        createHash("sha256")
          .update(range.subarray(at, at + segmentBytes))
          .digest(),
      );
    }
  }
  return whole.digest();
}

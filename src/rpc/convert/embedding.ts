import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { LimitExceededError } from "../../errors/probestream-error.js";
import type { EmbedModelHeader, ModelEmbedding } from "../../gen/probestream/v1/embedding_service_pb.js";
import { ModelEmbeddingSchema } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { PortResult } from "../../search/embed-port.js";
import type { ModelEmbedding as Embedded, ModelHeader, RefusedHeader } from "../../search/embed-stream.js";
import type { EmbedLimits } from "../../search/limits.js";
import { maxExpertsPerModel } from "../../search/plan-embedding.js";
import { assertUploadId } from "../../search/plan-model.js";
import { float32Bytes, fromFloat32Bytes } from "../../weights/safetensors-writer.js";
import { fromWireTexts } from "./matrix.js";
import { fromIndexRequest } from "./model-record.js";
import { assertName, fromWireRange, maxNameLength, toCount } from "./tensor.js";
import { fromWireMatch, toWireMatch } from "./tree-match.js";

/** A header from the wire. */
export function fromHeader(header: EmbedModelHeader, limits: EmbedLimits): ModelHeader {
  const { modelId, uploadId, tensors, spaceIds, startOffsets, textVectors, routed, index } = header;
  assertName(modelId, "model_id");
  assertUploadId(uploadId);
  assertListLength(tensors.length, "tensors");
  assertListLength(startOffsets.length, "start_offsets");
  return {
    modelId,
    uploadId,
    tensors: tensors.map(fromWireRange),
    experts: spaceIds,
    isRouted: routed,
    startOffsets: startOffsets.map((offset) => toCount(offset, "start_offsets")),
    ...(index !== undefined && { index: fromIndexRequest(index, modelId) }),
    ...(textVectors !== undefined && { texts: fromWireTexts(textVectors, limits.maxTextVectors) }),
  };
}

/** What can be told of a header that {@link fromHeader} refuses. */
export function toRefusedHeader(header: EmbedModelHeader): Omit<RefusedHeader, "error"> {
  const declared = header.tensors.reduce((sum, { beginByte, endByte }) => sum + Number(endByte - beginByte), 0);
  return {
    // Both go back with the answer, which must not grow with them.
    modelId: header.modelId.slice(0, maxNameLength),
    uploadId: header.uploadId.slice(0, maxNameLength),
    declaredBytes: Math.max(0, declared),
    hasTexts: header.textVectors !== undefined,
  };
}

/** Most tensors that a header may list: five per expert, as many experts as one model may have. */
export const maxHeaderTensors = 5 * maxExpertsPerModel;

function assertListLength(length: number, field: string): void {
  if (length <= maxHeaderTensors) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `header.${field} has ${length} entries; ${maxHeaderTensors} are allowed`,
    {
      found: length,
      limit: maxHeaderTensors,
    },
  );
}

/** A result for the wire. */
export function toModelEmbedding(result: Embedded): ModelEmbedding {
  const { embeddings, bytesReceived, bytesTotal, rowsProjected, timings, backends, weightsHash, indexedId } = result;
  return create(ModelEmbeddingSchema, {
    embeddings: embeddings.map(({ expert, representation, cosines, logits, probabilities, tree }) => ({
      spaceId: expert.spaceId,
      expertName: expert.name,
      representation: float32Bytes(representation),
      textCosines: float32Bytes(cosines),
      labelLogits: float32Bytes(logits),
      labelProbabilities: float32Bytes(probabilities),
      labels: expert.objective === "classification" ? [...expert.labels] : [],
      ...(tree !== undefined && { tree: toWireMatch(tree) }),
    })),
    bytesReceived: BigInt(bytesReceived),
    bytesTotal: BigInt(bytesTotal),
    rowsProjected: BigInt(rowsProjected),
    timings: {
      total: toDuration(timings.total),
      receive: toDuration(timings.receive),
      wait: toDuration(timings.wait),
      digest: toDuration(timings.digest),
      project: toDuration(timings.project),
      head: toDuration(timings.head),
    },
    backends: backends.map(({ name, device, rows }) => ({ name, device, rows: BigInt(rows) })),
    weightsHash,
    indexedId: indexedId ?? "",
  });
}

/** A result from the wire. */
export function fromModelEmbedding(result: ModelEmbedding): PortResult {
  const { embeddings, bytesReceived, bytesTotal, rowsProjected, timings, backends, weightsHash, indexedId } = result;
  return {
    embeddings: embeddings.map((one) => ({
      spaceId: one.spaceId,
      expertName: one.expertName,
      representation: fromFloat32Bytes(one.representation),
      cosines: fromFloat32Bytes(one.textCosines),
      logits: fromFloat32Bytes(one.labelLogits),
      probabilities: fromFloat32Bytes(one.labelProbabilities),
      labels: one.labels,
      tree: one.tree && fromWireMatch(one.tree),
    })),
    bytesReceived: Number(bytesReceived),
    bytesTotal: Number(bytesTotal),
    rowsProjected: Number(rowsProjected),
    timings: {
      total: fromDuration(timings?.total),
      receive: fromDuration(timings?.receive),
      wait: fromDuration(timings?.wait),
      digest: fromDuration(timings?.digest),
      project: fromDuration(timings?.project),
      head: fromDuration(timings?.head),
    },
    backends: backends.map(({ name, device, rows }) => ({ name, device, rows: Number(rows) })),
    weightsHash,
    ...(indexedId !== "" && { indexedId }),
  };
}

/** Milliseconds as a Duration. */
export function toDuration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.floor((ms - seconds * 1000) * 1e6) });
}

/** A Duration as milliseconds. */
export function fromDuration(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

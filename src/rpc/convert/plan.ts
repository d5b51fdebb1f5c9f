import { create } from "@bufbuild/protobuf";
import { LimitExceededError } from "../../errors/probestream-error.js";
import {
  type PlannedModel,
  PlannedModelSchema,
  type TensorStart,
  TensorStartSchema,
} from "../../gen/probestream/v1/embedding_service_pb.js";
import { EmbeddingTargetSchema, type Manifest, TensorRole as WireRole } from "../../gen/probestream/v1/types_pb.js";
import type { ModelPlan, PlanRequest } from "../../search/embed-port.js";
import type { EmbedLimits } from "../../search/limits.js";
import type { EmbeddingPlan } from "../../search/plan-embedding.js";
import type { TensorRole } from "../../weights/layer.js";
import { withLoraScales } from "../../weights/lora/lora-scales.js";
import { acceptedDtypes } from "./dtype.js";
import { assertName, fromWireRange, fromWireTensor, toCount, toTensorMap, toWireRange } from "./tensor.js";

const roles = {
  weight: WireRole.WEIGHT,
  "weight-scale": WireRole.WEIGHT_SCALE,
  "lora-down": WireRole.LORA_DOWN,
  "lora-up": WireRole.LORA_UP,
  "lora-alpha": WireRole.LORA_ALPHA,
} as const satisfies Record<TensorRole, WireRole>;

/** A manifest from the wire. */
export function fromManifest(manifest: Manifest, limits: EmbedLimits): PlanRequest {
  const { modelId, tensors, experts, uploadId, metadata } = manifest;
  assertName(modelId, "model_id");
  if (tensors.length > limits.maxManifestTensors) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `the manifest of "${modelId}" has ${tensors.length} tensors; ${limits.maxManifestTensors} are allowed. Leave out those of other layers`,
      { found: tensors.length, limit: limits.maxManifestTensors },
    );
  }
  const told = new Map(Object.entries(metadata));
  // A client that knows nothing of scales sends the metadata as they are.
  return {
    modelId,
    uploadId,
    tensors: withLoraScales(toTensorMap(tensors.map(fromWireTensor)), told),
    metadata: told,
    experts,
  };
}

/** A plan for the wire. */
export function toPlannedModel({ targets }: EmbeddingPlan, answer: ModelPlan): PlannedModel {
  return create(PlannedModelSchema, {
    tensors: answer.tensors.map(toWireRange),
    targets: targets.map(({ expert, uses }, target) =>
      create(EmbeddingTargetSchema, {
        spaceId: expert.spaceId,
        sketch: answer.sketches?.[target] ?? "",
        uses: uses.map(({ role, tensorIndex }) => ({ role: roles[role], tensorIndex })),
      }),
    ),
    acceptedDtypes: [...acceptedDtypes],
    chunkBytes: answer.chunkBytes,
    uploadId: answer.uploadId,
    starts: answer.starts.map(toTensorStart),
    routed: answer.isRouted,
  });
}

function toTensorStart({ offset, segmentDigests }: ModelPlan["starts"][number]): TensorStart {
  return create(TensorStartSchema, { offset: BigInt(offset), segmentDigests: new Uint8Array(segmentDigests) });
}

/** A plan from the wire. */
export function fromPlannedModel({ uploadId, chunkBytes, tensors, targets, starts, routed }: PlannedModel): ModelPlan {
  return {
    uploadId,
    chunkBytes,
    tensors: tensors.map(fromWireRange),
    experts: targets.map(({ spaceId }) => spaceId),
    isRouted: routed,
    sketches: targets.map(({ sketch }) => sketch),
    starts: tensors.map((_, index) => ({
      offset: toCount(starts[index]?.offset ?? 0n, "offset"),
      segmentDigests: starts[index]?.segmentDigests ?? new Uint8Array(0),
    })),
  };
}

import type { MessageInitShape } from "@bufbuild/protobuf";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type {
  ProjectedModelSchema,
  ProjectedModel as WireModel,
} from "../../gen/probestream/v1/embedding_service_pb.js";
import { digestBytes } from "../../projection/range-reader.js";
import { maxExpertsPerModel } from "../../search/plan-embedding.js";
import type { ProjectedModel } from "../../search/probing/projected-model.js";
import { maxHeaderTensors } from "./embedding.js";
import { fromIndexRequest, toIndexRequest } from "./model-record.js";
import { fromNamedTensor, toNamedTensor } from "./named-tensor.js";
import { assertName, fromWireRange, toWireRange } from "./tensor.js";

/** Parts of one accumulator's sums at most; `probex/1` has three. */
const maxStateTensors = 16;

/**
 * A projected model from the wire.
 *
 * @throws InvalidInputError `FIELD_INVALID`, `SHAPE_MISMATCH`; LimitExceededError `LIMIT_EXCEEDED`.
 */
export function fromProjectedModel(model: WireModel): ProjectedModel {
  const { modelId, tensors, targets, routed, sketches, weightsDigest, index } = model;
  assertName(modelId, "model_id");
  assertCount(tensors.length, maxHeaderTensors, "tensors");
  assertCount(targets.length, maxExpertsPerModel, "targets");
  assertCount(sketches.length, maxExpertsPerModel, "sketches");
  if (targets.length === 0) {
    throw new InvalidInputError("FIELD_INVALID", "the model has no targets; send one for each of the plan's");
  }
  if (weightsDigest.byteLength !== 0 && weightsDigest.byteLength !== digestBytes) {
    const message = `weights_digest has ${weightsDigest.byteLength} bytes; a SHA-256 has ${digestBytes}, and without one the field stays empty`;
    throw new InvalidInputError("FIELD_INVALID", message, { found: weightsDigest.byteLength, expected: digestBytes });
  }
  return {
    modelId,
    tensors: tensors.map(fromWireRange),
    targets: targets.map(({ spaceId, accumulator, state, sketch }) => {
      assertCount(state.length, maxStateTensors, "targets.state");
      return { spaceId, accumulator, state: state.map(fromNamedTensor), sketch };
    }),
    isRouted: routed,
    sketches: sketches.map(fromNamedTensor),
    weightsHash: Buffer.from(weightsDigest).toString("hex"),
    ...(index !== undefined && { index: fromIndexRequest(index, modelId) }),
  };
}

/** A projected model for the wire. */
export function toProjectedModel(model: ProjectedModel): MessageInitShape<typeof ProjectedModelSchema> {
  const { modelId, tensors, targets, isRouted, sketches, weightsHash, index } = model;
  return {
    modelId,
    tensors: tensors.map(toWireRange),
    targets: targets.map(({ spaceId, accumulator, state, sketch }) => {
      return { spaceId, accumulator, state: state.map(toNamedTensor), ...(sketch !== undefined && { sketch }) };
    }),
    routed: isRouted,
    sketches: sketches.map(toNamedTensor),
    weightsDigest: new Uint8Array(Buffer.from(weightsHash, "hex")),
    ...(index !== undefined && { index: toIndexRequest(index) }),
  };
}

function assertCount(found: number, limit: number, field: string): void {
  if (found <= limit) return;
  const message = `a projected model has ${found} ${field}; ${limit} are allowed`;
  throw new LimitExceededError("LIMIT_EXCEEDED", message, { found, limit });
}

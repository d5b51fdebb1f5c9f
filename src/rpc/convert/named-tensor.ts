import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import type { NamedTensor } from "../../gen/probestream/v1/embedding_service_pb.js";
import type { StatePart } from "../../projection/accumulator.js";
import { float32Bytes, fromFloat32Bytes } from "../../weights/safetensors-writer.js";
import { toCount } from "./tensor.js";

/** Longest name, in UTF-16 units. */
const maxNameLength = 64;

/** A part of sums or a sketch for the wire. */
export function toNamedTensor({ name, rows, columns, values }: StatePart) {
  return { name, shape: [BigInt(rows), BigInt(columns)], data: float32Bytes(values) };
}

/**
 * A part of sums or a sketch from the wire; a vector is one column, a number one of each.
 *
 * @throws InvalidInputError `FIELD_INVALID`, `SHAPE_MISMATCH`; LimitExceededError `LIMIT_EXCEEDED` for a long name.
 */
export function fromNamedTensor({ name, shape, data }: NamedTensor): StatePart {
  if (name.length === 0) throw new InvalidInputError("FIELD_INVALID", "a tensor of the sums has no name");
  if (name.length > maxNameLength) {
    const message = `a tensor of the sums has a name of ${name.length} characters; ${maxNameLength} are allowed`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { length: name.length, limit: maxNameLength });
  }
  const facts = { tensor: name };
  if (shape.length > 2) {
    const message = `the tensor "${name}" of the sums has ${shape.length} dimensions; sums and sketches have 2 at most`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, facts);
  }
  const [rows = 1, columns = 1] = shape.map((extent) => toCount(extent, `the shape of "${name}"`));
  const expected = rows * columns * Float32Array.BYTES_PER_ELEMENT;
  if (data.byteLength !== expected) {
    const message = `the tensor "${name}" of the sums has ${data.byteLength} bytes; float32 of the shape [${shape.join(", ")}] take ${expected}`;
    throw new InvalidInputError("SHAPE_MISMATCH", message, { ...facts, found: data.byteLength, expected });
  }
  return { name, rows, columns, values: fromFloat32Bytes(data) };
}

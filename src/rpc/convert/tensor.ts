import { create } from "@bufbuild/protobuf";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import {
  TensorInfoSchema,
  type TensorRange,
  TensorRangeSchema,
  type TensorInfo as WireTensorInfo,
} from "../../gen/probestream/v1/types_pb.js";
import type { TensorInfo } from "../../weights/layer.js";
import { fromWireDtype, toWireDtype } from "./dtype.js";

/** Longest name of a tensor or model, in UTF-16 units; names of real files have up to 150. */
export const maxNameLength = 1024;

/** Most dimensions of a tensor; convolutions in three dimensions have 5. */
const maxDimensions = 8;

/** Most bytes of a whole tensor that numbers can count. */
const maxCount = BigInt(Number.MAX_SAFE_INTEGER) / 8n;

/** A tensor's description from the wire. */
export function fromWireTensor({ name, dtype, shape, loraScale }: WireTensorInfo): TensorInfo {
  assertName(name, "a tensor's name");
  if (shape.length > maxDimensions) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `tensor "${name}" has ${shape.length} dimensions; ${maxDimensions} are read at most`,
      { tensor: name, limit: maxDimensions },
    );
  }
  let count = 1n;
  for (const extent of shape) {
    count *= extent;
    if (count > maxCount || extent > maxCount) {
      throw new InvalidInputError(
        "SHAPE_MISMATCH",
        `tensor "${name}" has shape [${shape.join(", ")}], too large to count`,
        {
          tensor: name,
        },
      );
    }
  }
  if (loraScale !== undefined && !Number.isFinite(loraScale)) {
    throw new InvalidInputError(
      "FIELD_INVALID",
      `tensor "${name}" has the lora_scale ${loraScale}; it must be finite`,
      {
        tensor: name,
        loraScale: String(loraScale),
      },
    );
  }
  const tensor = { name, dtype: fromWireDtype(dtype), shape: shape.map(Number) };
  return loraScale === undefined ? tensor : { ...tensor, loraScale };
}

/** A tensor's description for the wire. */
export function toWireTensor({ name, dtype, shape, loraScale }: TensorInfo): WireTensorInfo {
  const tensor = { name, dtype: toWireDtype(dtype), shape: shape.map(BigInt) };
  return create(TensorInfoSchema, loraScale === undefined ? tensor : { ...tensor, loraScale });
}

/** Tensors by name. */
export function toTensorMap(tensors: readonly TensorInfo[]): Map<string, TensorInfo> {
  const byName = new Map<string, TensorInfo>();
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) {
      throw new InvalidInputError("DUPLICATE", `tensor "${tensor.name}" stands twice in the manifest`, {
        tensor: tensor.name,
      });
    }
    byName.set(tensor.name, tensor);
  }
  return byName;
}

/** A byte range of a tensor, as rooms below know it. */
export interface RangeOfTensor {
  readonly tensor: TensorInfo;
  readonly beginByte: number;
  readonly endByte: number;
}

/** A byte range from the wire. */
export function fromWireRange({ tensor, beginByte, endByte }: TensorRange, index: number): RangeOfTensor {
  if (tensor === undefined) throw new InvalidInputError("FIELD_INVALID", `header.tensors[${index}].tensor is not set`);
  return {
    tensor: fromWireTensor(tensor),
    beginByte: toCount(beginByte, "begin_byte"),
    endByte: toCount(endByte, "end_byte"),
  };
}

/** A byte range for the wire. */
export function toWireRange({ tensor, beginByte, endByte }: RangeOfTensor): TensorRange {
  return create(TensorRangeSchema, {
    tensor: toWireTensor(tensor),
    beginByte: BigInt(beginByte),
    endByte: BigInt(endByte),
  });
}

/** A 64-bit count as a number. */
export function toCount(value: bigint, field: string): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new InvalidInputError("FIELD_INVALID", `${field} is ${value}; it can be 2^53 - 1 at most`, { field });
}

/** Guards a name that comes from outside. */
export function assertName(name: string, what: string): void {
  if (name.length <= maxNameLength) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `${what} has ${name.length} characters; ${maxNameLength} are allowed`,
    { length: name.length, limit: maxNameLength },
  );
}

import { endianness } from "node:os";
import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { type Dtype, isDtype } from "../../../src/linalg/dtype.js";
import { quoteName } from "../../../src/weights/quote-name.js";
import type { TensorData } from "../../../src/weights/safetensors-writer.js";

/** A tensor in memory. It is not copied, and must not change while its model is embedded. */
export interface Tensor {
  /** Outermost extent first; row-major. */
  readonly shape: readonly number[];
  /** Float32Array and Float64Array say their type themselves; the bits of others, little-endian, need `dtype`. */
  readonly data: Float32Array | Float64Array | Uint16Array | Uint8Array;
  /** "F32", "F64", "F16", "BF16", "F8_E4M3" or "F8_E5M2". */
  readonly dtype?: Dtype | undefined;
}

/** Arrays by the names that a file would have, `unet.….to_out.0.lora.down.weight` say. */
export type Tensors = Readonly<Record<string, Tensor>>;

/**
 * Arrays as they would lie in a file.
 *
 * @throws InvalidInputError `DTYPE_UNSUPPORTED` for numbers that no `dtype` explains.
 */
export function toTensorData(arrays: Tensors): readonly TensorData[] {
  if (endianness() !== "LE") {
    throw new InvalidInputError(
      "DTYPE_UNSUPPORTED",
      "this machine is big-endian; give the bytes of a safetensors file",
    );
  }
  return Object.entries(arrays).map(([name, { shape, data, dtype }]) => ({
    name,
    shape,
    dtype: toDtype(name, data, dtype),
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
}

function toDtype(name: string, data: Tensor["data"], dtype: string | undefined): Dtype {
  const own = data instanceof Float32Array ? "F32" : data instanceof Float64Array ? "F64" : undefined;
  const found = dtype ?? own;
  if (found !== undefined && isDtype(found) && (own === undefined || own === found)) return found;
  const given = ArrayBuffer.isView(data) ? data.constructor.name : typeof data;
  const message = `tensor ${quoteName(name)} is given as ${given} with the dtype ${dtype ?? "left out"}; give a Float32Array or Float64Array, or the bits as Uint16Array or Uint8Array with dtype "F16", "BF16", "F8_E4M3" or "F8_E5M2"`;
  throw new InvalidInputError("DTYPE_UNSUPPORTED", message, { tensor: name });
}

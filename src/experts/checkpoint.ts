import { createHash } from "node:crypto";
import type { Matrix } from "../compute/compute-backend.js";
import { InvalidInputError } from "../errors/probestream-error.js";
import { type Dtype, isDtype } from "../linalg/dtype.js";
import { widen } from "../linalg/widen.js";
import { readTensors } from "../weights/safetensors-file.js";
import type { TensorData } from "../weights/safetensors-writer.js";

/** What an expert was trained to tell: `ProbeXZeroshot` or `ProbeXClassification` of the authors' code. */
export type Objective = "zeroshot" | "classification";

/** A linear map y = weight·x + bias. */
export interface Linear {
  /** outputs × inputs. */
  readonly weight: Matrix;
  readonly bias: Float32Array;
}

/** The authors' state dict: one ProbeX expert's parameters. */
export interface Checkpoint {
  readonly objective: Objective;
  /** U, d_W × r_U. */
  readonly u: Matrix;
  /** V, r_V × d_H. */
  readonly v: Matrix;
  /** M, r_T × (r_U·r_V), its input probe-major. */
  readonly encoder: Linear;
  /** H, r_T × d_text, from texts; or T, d_Y × r_T, to labels. */
  readonly head: Linear;
  /** SHA-256 over names, shapes and float32 values of the parameters; independent of how the file stores them. */
  readonly digest: Uint8Array;
}

const headNames = { zeroshot: "regression_head", classification: "classification_head" } as const;

/**
 * Reads a ProbeX state dict, the authors' names unchanged, from a safetensors file. Numbers may be float32 or anything
 * that widens to it.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` where parameters are missing or do not fit each other.
 */
export async function readCheckpoint(path: string, objective: Objective, signal?: AbortSignal): Promise<Checkpoint> {
  const { tensors } = await readTensors(path, { signal });
  const hash = createHash("sha256");
  const take = (name: string, rank: 1 | 2): Matrix => {
    const matrix = toMatrix(tensors.get(name), name, rank, path);
    hash.update(`${name}\0${matrix.rows}\0${matrix.columns}\0`);
    hash.update(new Uint8Array(matrix.values.buffer, matrix.values.byteOffset, matrix.values.byteLength));
    return matrix;
  };
  const headName = headNames[objective];
  const u = take("probes.weight", 2);
  const v = take("shared_probe_proj.weight", 2);
  const encoder = {
    weight: take("per_probe_encoders.weight", 2),
    bias: take("per_probe_encoders.bias", 1).values,
  };
  const head = { weight: take(`${headName}.weight`, 2), bias: take(`${headName}.bias`, 1).values };
  const checkpoint = { objective, u, v, encoder, head, digest: hash.digest() };
  assertConsistent(checkpoint, headName, path);
  return checkpoint;
}

function toMatrix(tensor: TensorData | undefined, name: string, rank: 1 | 2, path: string): Matrix {
  if (tensor === undefined) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `${path} has no tensor "${name}"; an expert's weights are a ProbeX state dict under the authors' names`,
      { tensor: name },
    );
  }
  const [rows, columns = 1] = tensor.shape;
  if (tensor.shape.length !== rank || rows === undefined || rows < 1 || columns < 1) {
    throw new InvalidInputError(
      "SHAPE_MISMATCH",
      `"${name}" of ${path} has shape [${tensor.shape.join(", ")}]; it must have ${rank} dimensions of at least 1`,
      { tensor: name },
    );
  }
  if (!isDtype(tensor.dtype)) {
    throw new InvalidInputError(
      "DTYPE_UNSUPPORTED",
      `"${name}" of ${path} is ${tensor.dtype}; an expert's weights must be F32, F16, BF16 or F64`,
      { tensor: name, dtype: tensor.dtype },
    );
  }
  const values = toFloat32(tensor.bytes, tensor.dtype, rows * columns);
  if (!values.every(Number.isFinite)) {
    throw new InvalidInputError("NON_FINITE", `"${name}" of ${path} holds NaN or infinity`, { tensor: name });
  }
  return { rows, columns, values };
}

/** The numbers as float32: in place where they are that already. */
function toFloat32(bytes: Uint8Array, dtype: Dtype, count: number): Float32Array {
  if (dtype === "F32" && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, count);
  const values = new Float32Array(count);
  widen(bytes, dtype, values);
  return values;
}

function assertConsistent(checkpoint: Omit<Checkpoint, "digest">, headName: string, path: string): void {
  const { u, v, encoder, head, objective } = checkpoint;
  const width = encoder.weight.rows;
  const expected: readonly (readonly [string, number, number])[] = [
    ["columns of per_probe_encoders.weight (r_U · r_V)", encoder.weight.columns, u.columns * v.rows],
    ["length of per_probe_encoders.bias (r_T)", encoder.bias.length, width],
    [`length of ${headName}.bias`, head.bias.length, head.weight.rows],
    objective === "zeroshot"
      ? [`rows of ${headName}.weight (r_T)`, head.weight.rows, width]
      : [`columns of ${headName}.weight (r_T)`, head.weight.columns, width],
  ];
  for (const [what, found, wanted] of expected) {
    if (found !== wanted) {
      throw new InvalidInputError(
        "SHAPE_MISMATCH",
        `${path}: ${what} is ${found}, the other parameters want ${wanted}`,
      );
    }
  }
}

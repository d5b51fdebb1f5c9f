import { createHash, type Hash } from "node:crypto";
import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { type Dtype, dtypeBytes, isDtype } from "../linalg/dtype.js";
import { widen } from "../linalg/widen.js";
import { type ByteSource, DEFAULT_CHUNK_BYTES } from "../weights/byte-source.js";
import { openFileSource } from "../weights/file-source.js";
import type { StoredTensor } from "../weights/model-header.js";
import { readSafetensorsHeader } from "../weights/safetensors-header.js";
import type { Extent, Objective } from "./checkpoint.js";

/** What the parameters of an expert's head are called. */
export const headNames = { zeroshot: "regression_head", classification: "classification_head" } as const;

/** Bytes of a state dict at most: 4 GiB. That of `zoo/clinc-expert` (128 × 128 probes, 128 wide) measures 8.6 MB. */
export const maxCheckpointBytes = 4 * 1024 ** 3;

/** A parameter, with memory that its numbers are to be written to or without. */
export interface Placed extends Extent {
  readonly values?: Float32Array;
}

/** The parameters, in the order in which they are digested. */
type Parameters<T> = Readonly<Record<"u" | "v" | "weight" | "bias" | "headWeight" | "headBias", T>>;

/** A parameter as the file stores it. */
interface StoredParameter extends Extent {
  readonly name: string;
  /** Path of the file, for messages. */
  readonly path: string;
  readonly dtype: Dtype;
  /** First byte in the file, and one past the last. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads all parameters of a state dict once, in pieces: digests and checks every number, and puts it where `place` says, by
 * its name.
 *
 * @throws what `readCheckpoint` throws.
 */
export async function streamParameters<T extends Placed>(
  path: string,
  objective: Objective,
  place: (extent: Extent, name: string) => T,
  signal: AbortSignal | undefined,
): Promise<{ readonly parameters: Parameters<T>; readonly digest: Uint8Array }> {
  const source = await openFileSource(path);
  try {
    assertFileSize(source);
    const { tensors } = await readSafetensorsHeader(source, signal);
    const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    const hash = createHash("sha256");
    // Pieces with buffers of their own lie about until they are collected, 37 MB of them measured.
    const buffer = new Uint8Array(DEFAULT_CHUNK_BYTES);
    const makeBuffer = (length: number): Uint8Array => buffer.subarray(0, length);
    const find = (name: string, rank: 1 | 2): StoredParameter => toParameter(byName.get(name), name, rank, path);
    const headName = headNames[objective];
    const stored = {
      u: find("probes.weight", 2),
      v: find("shared_probe_proj.weight", 2),
      weight: find("per_probe_encoders.weight", 2),
      bias: find("per_probe_encoders.bias", 1),
      headWeight: find(`${headName}.weight`, 2),
      headBias: find(`${headName}.bias`, 1),
    };
    assertConsistent(stored, objective, path);
    const take = async (parameter: StoredParameter): Promise<T> => {
      const placed = place({ rows: parameter.rows, columns: parameter.columns }, parameter.name);
      const { begin, end } = parameter;
      await streamNumbers(source.stream(begin, end, { makeBuffer, signal }), parameter, placed.values, hash);
      return placed;
    };
    const parameters = {
      u: await take(stored.u),
      v: await take(stored.v),
      weight: await take(stored.weight),
      bias: await take(stored.bias),
      headWeight: await take(stored.headWeight),
      headBias: await take(stored.headBias),
    };
    return { parameters, digest: hash.digest() };
  } finally {
    await source.close();
  }
}

/** Feeds a parameter's name, shape and numbers to the digest, and writes the numbers to `target` if there is one. */
async function streamNumbers(
  pieces: AsyncIterable<Uint8Array>,
  { name, path, dtype, rows, columns }: StoredParameter,
  target: Float32Array | undefined,
  hash: Hash,
): Promise<void> {
  const scratch = target ?? new Float32Array(Math.min(rows * columns, DEFAULT_CHUNK_BYTES / dtypeBytes[dtype]));
  hash.update(`${name}\0${rows}\0${columns}\0`);
  let at = 0;
  for await (const piece of pieces) {
    const count = piece.byteLength / dtypeBytes[dtype];
    const values = scratch.subarray(at, at + count);
    widen(piece, dtype, values);
    if (!allFinite(values)) {
      throw new InvalidInputError("NON_FINITE", `"${name}" of ${path} holds NaN or infinity`, { tensor: name });
    }
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    if (target !== undefined) at += count;
  }
}

function assertFileSize({ name, size }: ByteSource): void {
  if (size <= maxCheckpointBytes) return;
  throw new LimitExceededError(
    "LIMIT_EXCEEDED",
    `${name} has ${size} bytes; an expert's state dict may have ${maxCheckpointBytes}`,
    { size, limit: maxCheckpointBytes },
  );
}

function toParameter(tensor: StoredTensor | undefined, name: string, rank: 1 | 2, path: string): StoredParameter {
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
  const { dtype, begin, end } = tensor;
  return { name, path, dtype, begin, end, rows, columns };
}

function assertConsistent(parameters: Parameters<Extent>, objective: Objective, path: string): void {
  const { u, v, weight, bias, headWeight, headBias } = parameters;
  const headName = headNames[objective];
  const expected: readonly (readonly [string, number, number])[] = [
    ["columns of per_probe_encoders.weight (r_U · r_V)", weight.columns, u.columns * v.rows],
    ["length of per_probe_encoders.bias (r_T)", bias.rows, weight.rows],
    [`length of ${headName}.bias`, headBias.rows, headWeight.rows],
    objective === "zeroshot"
      ? [`rows of ${headName}.weight (r_T)`, headWeight.rows, weight.rows]
      : [`columns of ${headName}.weight (r_T)`, headWeight.columns, weight.rows],
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

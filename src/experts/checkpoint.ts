import { createHash, type Hash } from "node:crypto";
import type { Matrix } from "../compute/compute-backend.js";
import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { allFinite } from "../linalg/all-finite.js";
import { type Dtype, dtypeBytes, isDtype } from "../linalg/dtype.js";
import { widen } from "../linalg/widen.js";
import { DEFAULT_CHUNK_BYTES } from "../weights/byte-source.js";
import { type FileSource, openFileSource } from "../weights/file-source.js";
import type { StoredTensor } from "../weights/model-header.js";
import { readSafetensorsHeader } from "../weights/safetensors-header.js";

/** What an expert was trained to tell: `ProbeXZeroshot` or `ProbeXClassification` of the authors' code. */
export type Objective = "zeroshot" | "classification";

/** Rows and columns of a parameter. */
export type Extent = Pick<Matrix, "rows" | "columns">;

/** A linear map y = weight·x + bias. */
export interface Linear {
  /** outputs × inputs. */
  readonly weight: Matrix;
  readonly bias: Float32Array;
}

/** What a state dict is, without its numbers. */
export interface CheckpointShape {
  readonly objective: Objective;
  /** U, d_W × r_U. */
  readonly u: Extent;
  /** V, r_V × d_H. */
  readonly v: Extent;
  /** M, r_T × (r_U·r_V); its bias has r_T numbers. */
  readonly encoder: { readonly weight: Extent };
  /** H, r_T × d_text, or T, d_Y × r_T; its bias has as many numbers as rows. */
  readonly head: { readonly weight: Extent };
  /** SHA-256 over names, shapes and float32 values of the parameters; independent of how the file stores them. */
  readonly digest: Uint8Array;
}

/** The authors' state dict: one ProbeX expert's parameters. */
export interface Checkpoint extends CheckpointShape {
  /** U, d_W × r_U. */
  readonly u: Matrix;
  /** V, r_V × d_H. */
  readonly v: Matrix;
  /** M, r_T × (r_U·r_V), its input probe-major. */
  readonly encoder: Linear;
  /** H, r_T × d_text, from texts; or T, d_Y × r_T, to labels. */
  readonly head: Linear;
}

const headNames = { zeroshot: "regression_head", classification: "classification_head" } as const;

/** Bytes of a state dict at most: 4 GiB. That of `zoo/clinc-expert` (128 × 128 probes, 128 wide) measures 8.6 MB. */
export const maxCheckpointBytes = 4 * 1024 ** 3;

/**
 * Reads a ProbeX state dict, the authors' names unchanged, from a safetensors file. Numbers may be float32 or anything
 * that widens to it.
 *
 * Memory: the parameters as float32, and a piece of the file.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` where parameters are missing or do not fit each other, `DTYPE_UNSUPPORTED`,
 * `NON_FINITE`; LimitExceededError `LIMIT_EXCEEDED` for a file beyond {@link maxCheckpointBytes}.
 */
export async function readCheckpoint(path: string, objective: Objective, signal?: AbortSignal): Promise<Checkpoint> {
  const toMatrix = ({ rows, columns }: Extent): Matrix => ({ rows, columns, values: new Float32Array(rows * columns) });
  const { parameters, digest } = await streamParameters(path, objective, toMatrix, signal);
  const { u, v, weight, bias, headWeight, headBias } = parameters;
  const encoder = { weight, bias: bias.values };
  return { objective, u, v, encoder, head: { weight: headWeight, bias: headBias.values }, digest };
}

/**
 * Reads a state dict as {@link readCheckpoint} does, with the same digest and the same checks, and keeps none of its
 * numbers. Other callbacks get their turn after every MiB.
 *
 * Memory: a piece of the file and its numbers as float32.
 */
export async function describeCheckpoint(
  path: string,
  objective: Objective,
  signal?: AbortSignal,
): Promise<CheckpointShape> {
  const toExtent = (extent: Extent): Placed => extent;
  const { parameters, digest } = await streamParameters(path, objective, toExtent, signal);
  const { u, v, weight, headWeight } = parameters;
  return { objective, u, v, encoder: { weight }, head: { weight: headWeight }, digest };
}

/**
 * Reads a state dict as {@link readCheckpoint} does, with the same digest and the same checks, and keeps the numbers of its
 * head alone.
 *
 * Memory: the head as float32, a piece of the file and its numbers.
 */
export async function readCheckpointHead(
  path: string,
  objective: Objective,
  signal?: AbortSignal,
): Promise<CheckpointShape & Pick<Checkpoint, "head">> {
  const headName = headNames[objective];
  const keepHead = (extent: Extent, name: string): Placed =>
    name.startsWith(headName) ? { ...extent, values: new Float32Array(extent.rows * extent.columns) } : extent;
  const { parameters, digest } = await streamParameters(path, objective, keepHead, signal);
  const { u, v, weight, headWeight, headBias } = parameters;
  const head = { weight: toKept(headWeight), bias: toKept(headBias).values };
  return { objective, u, v, encoder: { weight }, head, digest };
}

/**
 * Reads a state dict as {@link readCheckpoint} does, with the same digest and the same checks, and keeps U and V alone.
 *
 * Memory: U and V as float32, a piece of the file and its numbers.
 */
export async function readCheckpointProbes(
  path: string,
  objective: Objective,
  signal?: AbortSignal,
): Promise<CheckpointShape & Pick<Checkpoint, "u" | "v">> {
  const keepProbes = (extent: Extent, name: string): Placed =>
    probeNames.has(name) ? { ...extent, values: new Float32Array(extent.rows * extent.columns) } : extent;
  const { parameters, digest } = await streamParameters(path, objective, keepProbes, signal);
  const { u, v, weight, headWeight } = parameters;
  return { objective, u: toKept(u), v: toKept(v), encoder: { weight }, head: { weight: headWeight }, digest };
}

/** U and V. */
const probeNames: ReadonlySet<string> = new Set(["probes.weight", "shared_probe_proj.weight"]);

function toKept({ rows, columns, values = new Float32Array(0) }: Placed): Matrix {
  return { rows, columns, values };
}

/** A parameter, with memory that its numbers are to be written to or without. */
interface Placed extends Extent {
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

/** Reads all parameters once, in pieces: digests and checks every number, and puts it where `place` says, by its name. */
async function streamParameters<T extends Placed>(
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
    // A multiple of every element size.
    const buffer = new Uint8Array(DEFAULT_CHUNK_BYTES);
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
      await streamNumbers(source.streamInto(buffer, begin, end, signal), parameter, placed.values, hash);
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

function assertFileSize({ name, size }: FileSource): void {
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

import type { Matrix } from "../compute/compute-backend.js";
import { headNames, type Placed, streamParameters } from "./stream-parameters.js";

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

/**
 * Reads a ProbeX state dict, the authors' names unchanged, from a safetensors file. Numbers may be float32 or anything
 * that widens to it.
 *
 * Memory: the parameters as float32, and a piece of the file.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` where parameters are missing or do not fit each other, `DTYPE_UNSUPPORTED`,
 * `NON_FINITE`; LimitExceededError `LIMIT_EXCEEDED` for a file of more than 4 GiB.
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

import type { Matrix } from "../compute/compute-backend.js";
import { InvalidInputError } from "../errors/probestream-error.js";
import { readTensors } from "../weights/safetensors-file.js";

/** Text vectors to compare with, and what they stand for. */
export interface Texts {
  /** One vector per row, d_text wide. */
  readonly vectors: Matrix;
  /** One per row. */
  readonly labels: readonly string[];
}

/** Tensor of a texts file, as text encoders call their output. */
const tensorName = "text_embeds";

/** 1 GiB: 21,841 vectors of 768 numbers take 67 MB. */
const maxTextsBytes = 1024 ** 3;

/**
 * Reads a file of text vectors: the tensor `text_embeds` [n, d_text] in F32, and `labels` in the metadata, a JSON list
 * of n names; without it the rows are numbered.
 *
 * Memory: the file, 1 GiB at most.
 *
 * @throws InvalidInputError `SHAPE_MISMATCH` or `DTYPE_UNSUPPORTED` if the tensor is not there or of another kind,
 * `HEADER_MALFORMED` if the labels are no list of n names; what {@link readTensors} throws.
 */
export async function readTexts(path: string, options: { readonly signal?: AbortSignal } = {}): Promise<Texts> {
  const { tensors, metadata } = await readTensors(path, { maxBytes: maxTextsBytes, signal: options.signal });
  const tensor = tensors.get(tensorName);
  const [rows, columns, ...rest] = tensor?.shape ?? [];
  if (tensor?.dtype !== "F32" || rows === undefined || columns === undefined || rest.length > 0) {
    const found = tensor === undefined ? "none of that name" : `${tensor.dtype} [${tensor.shape}]`;
    throw new InvalidInputError(
      tensor === undefined || tensor.dtype === "F32" ? "SHAPE_MISMATCH" : "DTYPE_UNSUPPORTED",
      `${path} must hold the tensor ${tensorName}, F32 [texts, width]; it has ${found}`,
      { tensor: tensorName },
    );
  }
  const { buffer, byteOffset } = tensor.bytes;
  const values = new Float32Array(buffer, byteOffset, rows * columns);
  return { vectors: { rows, columns, values }, labels: toLabels(metadata.get("labels"), rows, path) };
}

function toLabels(text: string | undefined, count: number, path: string): string[] {
  if (text === undefined) return Array.from({ length: count }, (_, index) => `text ${index}`);
  const labels = parseJson(text);
  if (Array.isArray(labels) && labels.length === count && labels.every((label) => typeof label === "string")) {
    return labels;
  }
  throw new InvalidInputError(
    "HEADER_MALFORMED",
    `the metadata "labels" of ${path} must be a JSON list of ${count} names, one per vector`,
    { count },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

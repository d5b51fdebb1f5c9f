import type { Matrix } from "../compute/compute-backend.js";
import { ProbestreamError } from "../errors/probestream-error.js";
import { readTensors } from "../weights/safetensors-file.js";
import { usageError } from "./exit-codes.js";

/** Text vectors to compare with, and what they stand for. */
export interface Texts {
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
 */
export async function readTexts(path: string, signal: AbortSignal): Promise<Texts> {
  const { tensors, metadata } = await readTensors(path, { maxBytes: maxTextsBytes, signal }).catch((error: unknown) => {
    throw error instanceof ProbestreamError ? usageError(`--texts: ${error.message}`) : error;
  });
  const tensor = tensors.get(tensorName);
  const [rows, columns, ...rest] = tensor?.shape ?? [];
  if (tensor?.dtype !== "F32" || rows === undefined || columns === undefined || rest.length > 0) {
    const found = tensor === undefined ? "none of that name" : `${tensor.dtype} [${tensor.shape}]`;
    throw usageError(`--texts: ${path} must hold the tensor ${tensorName}, F32 [texts, width]; it has ${found}`);
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
  throw usageError(`--texts: the metadata "labels" of ${path} must be a JSON list of ${count} names, one per vector`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { LimitExceededError } from "../errors/probestream-error.js";
import type { ByteSource } from "./byte-source.js";
import { openFileSource } from "./file-source.js";
import { readSafetensorsHeader } from "./safetensors-header.js";
import type { TensorData } from "./safetensors-writer.js";

/** Options of {@link readTensors}. */
export interface ReadTensorsOptions {
  /** Bytes of the file at most. Default {@link DEFAULT_MAX_FILE_BYTES}. */
  readonly maxBytes?: number | undefined;
  /** Stops the reading. */
  readonly signal?: AbortSignal | undefined;
}

/** A small safetensors file in memory. */
export interface LoadedTensors {
  /** By name, in the order of their bytes; each has a buffer of its own, so every typed array over it is aligned. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** 4 GiB. A text vector for each name of ImageNet-21k, 768 wide, measures 67 MB. */
export const DEFAULT_MAX_FILE_BYTES = 4_294_967_296;

/**
 * Loads a safetensors file whole: text vectors, states of uploads. Models and experts are streamed instead.
 *
 * Memory: the file. Checked against `maxBytes` before anything is read.
 *
 * @param source A path, or a source that stays open and the caller's.
 * @throws LimitExceededError `LIMIT_EXCEEDED` for a file larger than `maxBytes`; InvalidInputError as from
 * {@link readSafetensorsHeader}; what the source throws.
 */
export async function readTensors(
  source: ByteSource | string,
  options: ReadTensorsOptions = {},
): Promise<LoadedTensors> {
  if (typeof source !== "string") return readFrom(source, options);
  const file = await openFileSource(source);
  try {
    return await readFrom(file, options);
  } finally {
    await file.close();
  }
}

async function readFrom(source: ByteSource, options: ReadTensorsOptions): Promise<LoadedTensors> {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_FILE_BYTES;
  if (source.size > maxBytes) {
    const message = `"${source.name}" has ${source.size} bytes; at most ${maxBytes} are loaded whole. Raise maxBytes, or stream it.`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { fileSize: source.size, maxBytes });
  }
  const header = await readSafetensorsHeader(source, options.signal);
  const tensors = new Map<string, TensorData>();
  for (const { name, dtype, shape, begin, end } of header.tensors) {
    tensors.set(name, { name, dtype, shape, bytes: await source.read(begin, end, options.signal) });
  }
  return { tensors, metadata: header.metadata };
}

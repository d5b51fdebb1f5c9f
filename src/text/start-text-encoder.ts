import { InvalidInputError } from "../errors/probestream-error.js";
import { createCachedEncoder } from "./create-cached-encoder.js";
import { startWorkerEncoder, type WorkerEncoderOptions } from "./start-worker-encoder.js";
import type { TextEncoder } from "./text-encoder.js";

/** How a text encoder is started. */
export interface StartTextEncoderOptions extends WorkerEncoderOptions {
  /** Bytes that vectors of texts asked for before may take; 0 keeps none. Default {@link defaultCacheBytes}. */
  readonly cacheBytes?: number | undefined;
}

/** 32 MiB: some 8,000 texts of 768 numbers. */
export const defaultCacheBytes = 32 * 1024 ** 2;

/**
 * Starts a text encoder in a thread of its own, with a cache before it: see {@link startWorkerEncoder} and
 * {@link createCachedEncoder}. It keeps the process alive until it is disposed of.
 *
 * @param folder as {@link openTextEncoder} takes it.
 * @throws InvalidInputError `FIELD_INVALID` for `cacheBytes` that are no number of bytes; what startWorkerEncoder throws.
 */
export async function startTextEncoder(folder: string, options: StartTextEncoderOptions = {}): Promise<TextEncoder> {
  const { cacheBytes = defaultCacheBytes } = options;
  if (!Number.isSafeInteger(cacheBytes) || cacheBytes < 0) {
    throw new InvalidInputError("FIELD_INVALID", `cacheBytes is ${cacheBytes}; it must be a whole number, at least 0`);
  }
  const encoder = await startWorkerEncoder(folder, options);
  return cacheBytes === 0 ? encoder : createCachedEncoder(encoder, cacheBytes);
}

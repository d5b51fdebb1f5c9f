import { toProbestreamError } from "../errors/plain-error.js";
import type { ProbestreamError } from "../errors/probestream-error.js";
import type { TextEncoder } from "../text/text-encoder.js";

/** A text's vector. */
export interface EncodedText {
  readonly vector: Float32Array;
  /** Whether the encoder knows any of its words. */
  readonly isKnown: boolean;
}

/**
 * Encodes texts in one call, and where that is refused because of some of them, in halves, so that each text has its vector
 * or its own error.
 *
 * @returns per text.
 * @throws what the encoder throws for another reason than a text: it failed, or `signal` was aborted.
 */
export async function encodeEach(
  encoder: TextEncoder,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly (EncodedText | ProbestreamError)[]> {
  if (texts.length === 0) return [];
  try {
    const { columns, values, unknown } = await encoder.encode(texts, { signal });
    const strange = new Set(unknown);
    return texts.map((_, row) => ({
      vector: values.subarray(row * columns, (row + 1) * columns),
      isKnown: !strange.has(row),
    }));
  } catch (thrown) {
    signal?.throwIfAborted();
    const error = toProbestreamError(thrown);
    if (error.kind !== "invalid-input" && error.kind !== "limit-exceeded") throw error;
    if (texts.length === 1) return [error];
    const middle = texts.length >> 1;
    const first = await encodeEach(encoder, texts.slice(0, middle), signal);
    return [...first, ...(await encodeEach(encoder, texts.slice(middle), signal))];
  }
}

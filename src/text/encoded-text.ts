import type { EncodedTexts, TruncatedText } from "./text-encoder.js";

/** One text's vector, and what is to be said of it. */
export interface EncodedText {
  readonly vector: Float32Array;
  /** Absent for a text that was not cut. */
  readonly truncation?: Omit<TruncatedText, "index">;
  /** The vocabulary knows nothing of it, so that the vector means nothing. */
  readonly isUnknown: boolean;
}

/** Takes the answer for many texts apart. */
export function toEach({ rows, columns, values, truncated, unknown }: EncodedTexts): EncodedText[] {
  const truncations = new Map(truncated.map(({ index, ...rest }) => [index, rest] as const));
  const unknowns = new Set(unknown);
  return Array.from({ length: rows }, (_, row) => {
    const truncation = truncations.get(row);
    return {
      // Not a view, which would keep all vectors of the batch.
      vector: values.slice(row * columns, (row + 1) * columns),
      ...(truncation !== undefined && { truncation }),
      isUnknown: unknowns.has(row),
    };
  });
}

/**
 * Puts answers together.
 *
 * @param columns numbers per vector.
 */
export function fromEach(texts: readonly EncodedText[], columns: number): EncodedTexts {
  const values = new Float32Array(texts.length * columns);
  const truncated: TruncatedText[] = [];
  const unknown: number[] = [];
  for (const [index, { vector, truncation, isUnknown }] of texts.entries()) {
    values.set(vector, index * columns);
    if (truncation !== undefined) truncated.push({ index, ...truncation });
    if (isUnknown) unknown.push(index);
  }
  return { rows: texts.length, columns, values, truncated, unknown };
}

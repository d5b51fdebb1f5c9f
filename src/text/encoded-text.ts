import type { EncodedTexts, TruncatedText, UnknownTextWords } from "./text-encoder.js";

/** One text's vector, and what is to be said of it. */
export interface EncodedText {
  readonly vector: Float32Array;
  /** Absent for a text that was not cut. */
  readonly truncation?: Omit<TruncatedText, "index">;
  /** The vocabulary knows nothing of it, so that the vector means nothing. */
  readonly isUnknown: boolean;
  /** Words that the vocabulary does not know. */
  readonly unknownWords: readonly string[];
}

/** Bytes of unknown words in memory, which may be all of their text again. */
export function wordBytes({ unknownWords }: Pick<EncodedText, "unknownWords">): number {
  return unknownWords.reduce((sum, word) => sum + 2 * word.length, 0);
}

/** Takes the answer for many texts apart. */
export function toEach({ rows, columns, values, truncated, unknown, unknownWords = [] }: EncodedTexts): EncodedText[] {
  const truncations = new Map(truncated.map(({ index, ...rest }) => [index, rest] as const));
  const unknowns = new Set(unknown);
  const words = new Map(unknownWords.map((one) => [one.index, one.words] as const));
  return Array.from({ length: rows }, (_, row) => {
    const truncation = truncations.get(row);
    return {
      // Not a view, which would keep all vectors of the batch.
      vector: values.slice(row * columns, (row + 1) * columns),
      ...(truncation !== undefined && { truncation }),
      isUnknown: unknowns.has(row),
      unknownWords: words.get(row) ?? [],
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
  const unknownWords: UnknownTextWords[] = [];
  for (const [index, { vector, truncation, isUnknown, unknownWords: words }] of texts.entries()) {
    values.set(vector, index * columns);
    if (truncation !== undefined) truncated.push({ index, ...truncation });
    if (isUnknown) unknown.push(index);
    if (words.length > 0) unknownWords.push({ index, words });
  }
  return { rows: texts.length, columns, values, truncated, unknown, unknownWords };
}

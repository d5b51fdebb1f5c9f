/** Vectors of texts, one per row, row-major; a `Matrix` of the backends. */
export interface TextVectors {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** A text that was longer than the model takes. */
export interface TruncatedText {
  /** Position in the list of texts. */
  readonly index: number;
  /** Tokens that it has, with those that mark begin and end. */
  readonly tokenCount: number;
  /** Tokens that the vector is of. */
  readonly maxTokens: number;
}

/** Words of a text that the vocabulary does not know. */
export interface UnknownTextWords {
  /** Position in the list of texts. */
  readonly index: number;
  /** As they stand in the text, each once, the first 32 at most. */
  readonly words: readonly string[];
}

/** Vectors of texts, and what is to be said of them. */
export interface EncodedTexts extends TextVectors {
  /** Texts of which the end, or the begin, has no part in the vector; in the order of the texts. */
  readonly truncated: readonly TruncatedText[];
  /**
   * Positions of texts of which the vocabulary knows nothing, so that their vectors mean nothing; ascending. Vocabularies
   * of bytes, as CLIP's, know everything.
   */
  readonly unknown: readonly number[];
  /** Words that have no part in the vectors, of those texts that have such; absent where the encoder does not tell. */
  readonly unknownWords?: readonly UnknownTextWords[];
}

/** Turns texts into vectors of one space. */
export interface TextEncoder {
  /**
   * SHA-256 of the model file in lower-case hexadecimal: the `text.encoder` of the experts trained with it. Where the
   * weights lie in a file beside it, of both together, the model first.
   */
  readonly identity: string;
  /** Numbers per vector, d_text. */
  readonly width: number;
  /** Tokens of a text at most, with those that mark begin and end; absent where there is no limit. */
  readonly maxTokens?: number;
  /**
   * Encodes texts: row i is the vector of text i, as the model gives it (scaled to unit length only where the folder
   * says so). Longer texts than the model takes are cut, and the answer tells which. The same text may differ in its last
   * bits from batch to batch.
   *
   * @throws InvalidInputError `FIELD_INVALID` for an empty list, a text of nothing but white space, or one that tokenizer
   * or model do not take; `NON_FINITE` if the model gives NaN or infinity. LimitExceededError `LIMIT_EXCEEDED` for a text
   * of more than 65,536 characters. The reason of `signal` if it is aborted.
   */
  encode(texts: readonly string[], options?: { readonly signal?: AbortSignal | undefined }): Promise<EncodedTexts>;
  /** Frees the model's memory; it cannot encode afterwards. */
  dispose(): Promise<void>;
}

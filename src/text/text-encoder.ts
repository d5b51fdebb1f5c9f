/** Vectors of texts, one per row, row-major; a `Matrix` of the backends. */
export interface TextVectors {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Turns texts into vectors of one space. */
export interface TextEncoder {
  /** SHA-256 of the model file in lower-case hexadecimal: the `text.encoder` of the experts trained with it. */
  readonly identity: string;
  /** Numbers per vector, d_text. */
  readonly width: number;
  /**
   * Encodes texts: row i is the vector of text i, as the model gives it (not scaled to unit length here). Longer texts
   * than the model takes are cut. The same text may differ in its last bits from batch to batch.
   *
   * It blocks its thread, but for a turn of the event loop between batches, in which `signal` is seen: it belongs in a
   * worker thread, or in a command that has nothing else to do.
   *
   * @throws InvalidInputError `FIELD_INVALID` for an empty list, or a text that tokenizer or model do not take;
   * `NON_FINITE` if the model gives NaN or infinity. LimitExceededError `LIMIT_EXCEEDED` for a text of more than 65,536
   * characters. The reason of `signal` if it is aborted.
   */
  encode(texts: readonly string[], options?: { readonly signal?: AbortSignal | undefined }): Promise<TextVectors>;
  /** Frees the model's memory; it cannot encode afterwards. */
  dispose(): Promise<void>;
}

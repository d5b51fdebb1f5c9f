import type { TensorInfo } from "./layer.js";

/** A tensor and where its bytes lie in the file. */
export interface StoredTensor extends TensorInfo {
  /** First byte, from the start of the file. */
  readonly begin: number;
  /** One past the last byte. */
  readonly end: number;
}

/** What a file of weights says about itself, in whatever format. */
export interface ModelHeader {
  /** In the order of their bytes. */
  readonly tensors: readonly StoredTensor[];
  /** In its order. */
  readonly metadata: ReadonlyMap<string, string>;
  /** SHA-256, hex, of the bytes that say all this. */
  readonly digest: string;
}

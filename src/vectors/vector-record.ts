import type { Scalar } from "./filter.js";

/** One model in one space. */
export interface VectorRecord {
  /** The model's id: 1 to 1024 UTF-16 units of any text, unique in its space, and the same in every space. */
  readonly id: string;
  /** Representation e, as wide as its space, finite, not all zeros; kept as it is, compared at unit length. */
  readonly vector: Float32Array;
  /**
   * SHA-256 in lower-case hexadecimal of what the representation was made from: the streamed layer's digest (see
   * `EmbedModelFooter.digest`). Empty if it is not known.
   */
  readonly weightsHash: string;
  /** SHA-256 of the whole file in lower-case hexadecimal; empty if it is not known. */
  readonly fileHash: string;
  /** The Model Tree that accepted the model; empty if none was asked. */
  readonly tree: string;
  /** The base model, by the user's word or else the file's; empty if neither says. */
  readonly base: string;
  /** What the user said of the model. */
  readonly metadata: Readonly<Record<string, Scalar>>;
  /** What the model's file says of itself: claims, not facts. */
  readonly claims: Readonly<Record<string, string>>;
  /** When it was first written, in milliseconds since 1970. */
  readonly createdMs: number;
  /** When it was last written, in milliseconds since 1970. */
  readonly updatedMs: number;
}

/**
 * A record as it is written. Without `createdMs` a record that is there keeps its own; without `updatedMs` it is now. (An
 * import brings both.)
 */
export interface NewRecord extends Omit<VectorRecord, "createdMs" | "updatedMs"> {
  readonly createdMs?: number;
  readonly updatedMs?: number;
}

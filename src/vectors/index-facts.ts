import type { Scalar } from "./filter.js";

/** What a model brings into a store beside its representation. */
export interface IndexFacts {
  /** Id in the store: 1 to 1024 UTF-16 units. A model that is there under it is replaced. */
  readonly modelId: string;
  /** What the user says of the model. */
  readonly metadata?: Readonly<Record<string, Scalar>>;
  /** What the model's file says of itself. */
  readonly claims?: Readonly<Record<string, string>>;
  /** SHA-256 of the whole file in lower-case hexadecimal. */
  readonly fileHash?: string;
  /** The base model, if the user knows it. */
  readonly base?: string;
  /** A space that is new waits until it is switched to. */
  readonly fill?: boolean;
}

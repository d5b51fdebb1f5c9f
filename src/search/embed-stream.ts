import type { Matrix } from "../compute/compute-backend.js";
import type { ProbestreamError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { TensorInfo } from "../weights/layer.js";
import type { ModelSums } from "./embed-messages.js";
import type { PortResult } from "./embed-port.js";

/** What opens a model: copied from its plan. */
export interface ModelHeader {
  readonly modelId: string;
  readonly uploadId: string;
  readonly tensors: readonly { readonly tensor: TensorInfo; readonly beginByte: number; readonly endByte: number }[];
  /** Space ids. */
  readonly experts: readonly string[];
  /** Whether one of the experts is to be chosen by the weights; otherwise all of them serve. */
  readonly isRouted?: boolean;
  /** Per tensor, bytes that are not sent because an earlier upload brought them; empty for none. */
  readonly startOffsets: readonly number[];
  /** Text vectors for this model and those after it; a matrix of 0 rows ends the previous ones. */
  readonly texts?: Matrix;
  /** Puts the model into the catalogue: its outcome comes when it is durable there. */
  readonly index?: IndexFacts | undefined;
  /** Per expert the kind of sketch that it asks for, empty for none; where the stream is to end in sums. */
  readonly sketches?: readonly string[] | undefined;
}

/** What is known of a header that cannot be read. */
export interface RefusedHeader {
  readonly modelId: string;
  readonly uploadId: string;
  /** Bytes that it announces, as far as they can be told. */
  readonly declaredBytes: number;
  /** Whether it carries text vectors: those sent before it are then in force no more. */
  readonly hasTexts: boolean;
  readonly error: unknown;
}

/** What closes a model. */
export interface ModelFooter {
  readonly totalBytes: number;
  /** SHA-256 over the digests of all segments; empty if the client computed none. */
  readonly digest: Uint8Array;
}

/** Result of one expert. */
export interface ExpertEmbedding {
  readonly expert: Expert;
  /** e, r_T numbers. */
  readonly representation: Float32Array;
  /** Cosine with each text vector in force; empty without any. */
  readonly cosines: Float32Array;
  /** Logit per label; empty for zero-shot experts. */
  readonly logits: Float32Array;
  /** sigmoid of the logits. */
  readonly probabilities: Float32Array;
  /** How the model stands to the expert's tree, if it has one. */
  readonly tree: TreeMatch | undefined;
}

/** Result of one model. */
export interface ModelEmbedding extends Omit<PortResult, "embeddings"> {
  /** None where the stream was to end in sums. */
  readonly embeddings: readonly ExpertEmbedding[];
  /** Where the stream was to end in them. */
  readonly sums?: ModelSums;
}

/** What became of one model. */
export interface ModelOutcome {
  readonly modelId: string;
  readonly uploadId: string;
  readonly outcome: ModelEmbedding | ProbestreamError;
}

/** Models in, outcomes out. Calls come one after another, each awaited: that is the backpressure. */
export interface EmbedStream {
  /** @throws InvalidInputError `STREAM_ORDER` if the previous model is still open. */
  header(header: ModelHeader): Promise<void>;
  /** @throws InvalidInputError `STREAM_ORDER` if no model is open. */
  chunk(tensorIndex: number, offset: number, bytes: Uint8Array): Promise<void>;
  /** @throws InvalidInputError `STREAM_ORDER` if no model is open. */
  footer(footer: ModelFooter): Promise<void>;
  /**
   * Takes a model whose header cannot be read: it ends with the error, and what follows of it is passed over.
   *
   * @throws InvalidInputError `STREAM_ORDER` if the previous model is still open.
   */
  refuse(header: RefusedHeader): Promise<void>;
  /**
   * Ends the open model with an error; what follows of it is passed over.
   *
   * @throws InvalidInputError `STREAM_ORDER` if no model is open.
   */
  fail(error: unknown): Promise<void>;
  /** So much of a failed model is still to come that it is better to answer now. */
  readonly shouldStop: boolean;
  /** Between models: the answer is as long as it may be, so what follows must be sent on another stream. */
  readonly isFull: boolean;
  /** Outcomes of all models in order. A model without a footer gets `FOOTER_MISSING`, or `cut` where given. */
  finish(cut?: ProbestreamError): Promise<ModelOutcome[]>;
  /** Gives up all that is not finished; what was checkpointed can be resumed. */
  abort(): void;
}

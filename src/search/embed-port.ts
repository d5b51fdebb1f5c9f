import type { BackendUse, Matrix } from "../compute/compute-backend.js";
import type { ProbestreamError } from "../errors/probestream-error.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { TensorInfo } from "../weights/layer.js";

/** What a plan is asked for: a model's header, nothing of its weights. */
export interface PlanRequest {
  readonly modelId: string;
  /** Names the upload, so that it can be resumed: 16 to 128 characters of [A-Za-z0-9_-]. */
  readonly uploadId: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Experts by name, space id or prefix of one; empty where the only one that fits may serve. */
  readonly experts: readonly string[];
}

/** What to stream of a model. */
export interface ModelPlan {
  readonly uploadId: string;
  /** Best bytes per chunk. */
  readonly chunkBytes: number;
  readonly tensors: readonly { readonly tensor: TensorInfo; readonly beginByte: number; readonly endByte: number }[];
  /** Space ids of the experts that will serve, or of the candidates of which one will. */
  readonly experts: readonly string[];
  /** Whether the experts are candidates, of which the weights choose one or none. */
  readonly isRouted: boolean;
  /** Per expert the kind of sketch that one who projects by himself is asked for, empty for none. Default none. */
  readonly sketches?: readonly string[];
  /** Per tensor: bytes of the range that need not be sent again, and the digests of their 8 MiB segments. */
  readonly starts: readonly { readonly offset: number; readonly segmentDigests: Uint8Array }[];
}

/** Result of one expert, wherever it was computed. */
export interface PortEmbedding {
  readonly spaceId: string;
  readonly expertName: string;
  /** e, r_T numbers. */
  readonly representation: Float32Array;
  /** Cosine with each text vector in force. */
  readonly cosines: Float32Array;
  readonly logits: Float32Array;
  readonly probabilities: Float32Array;
  /** Names of the logits; empty if the expert names none. */
  readonly labels: readonly string[];
  /** How the model stands to the expert's Model Tree; absent if the expert was not calibrated. */
  readonly tree?: TreeMatch | undefined;
}

/** Result of one model, wherever it was computed. */
export interface PortResult {
  readonly embeddings: readonly PortEmbedding[];
  readonly bytesReceived: number;
  readonly bytesTotal: number;
  readonly rowsProjected: number;
  /**
   * Milliseconds by stage; stages overlap. `total` is from header to result, waiting for models that share its block
   * included.
   */
  readonly timings: Readonly<Record<"total" | "receive" | "wait" | "digest" | "project" | "head", number>>;
  /** What did the projection: more than one if a backend failed on the way, each with the rows that it added. */
  readonly backends: readonly BackendUse[];
  /** SHA-256 of the layer in lower-case hexadecimal: the digest of its footer. */
  readonly weightsHash: string;
  /** Id under which the model is in the catalogue now; absent if it was not to be indexed. */
  readonly indexedId?: string | undefined;
}

/** What became of the models of one stream. */
export interface PortAnswer {
  /** One per header in order; fewer only if the other side stopped early. */
  readonly results: readonly { readonly modelId: string; readonly outcome: PortResult | ProbestreamError }[];
  /** The other side answered before it had read everything: models without a result were not looked at. */
  readonly stoppedEarly: boolean;
}

/** Models in a row, each header, chunks, footer. Every call is awaited: that is the backpressure. */
export interface PortStream {
  /**
   * `startOffsets` per tensor, from the plan's `starts`; `texts` stay in force for the models after this one; `index` puts
   * the model into the catalogue.
   */
  header(modelId: string, plan: ModelPlan, texts?: Matrix, index?: IndexFacts): Promise<void>;
  /** `offset` counts from the range's `beginByte`. The bytes are copied or sent before the promise settles. */
  chunk(tensorIndex: number, offset: number, bytes: Uint8Array): Promise<void>;
  footer(totalBytes: number, digest: Uint8Array): Promise<void>;
  /** The other side has answered already: what is still sent is lost. */
  readonly answered: boolean;
  /** Ends the stream and waits for the answer. */
  finish(): Promise<PortAnswer>;
  /** Gives up: nothing unfinished is committed. */
  abort(): void;
}

/** A way to embed models: this process (`local-port.ts`) or a server (`rpc/client`). Callers cannot tell which. */
export interface EmbedPort {
  /** Most models per plan and per stream. */
  readonly maxModels: number;
  /** Plans for many models at once: one answer each, in order. */
  plan(requests: readonly PlanRequest[], signal?: AbortSignal): Promise<(ModelPlan | ProbestreamError)[]>;
  open(signal?: AbortSignal): Promise<PortStream>;
  close(): Promise<void>;
}

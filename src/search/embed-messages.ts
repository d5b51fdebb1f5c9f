import type { BackendUse, ComputeBackend, Matrix } from "../compute/compute-backend.js";
import type { BackendName } from "../compute/create-backend.js";
import type { PlainError } from "../errors/plain-error.js";
import type { StatePart } from "../projection/accumulator.js";
import type { StoredMatrix } from "../projection/stored-matrix.js";
import type { TreeMatch } from "../trees/tree-match.js";
import type { TensorRole } from "../weights/layer.js";

/** What a module that computes exports. It says by itself what its workers load, and so what must be installed. */
export interface ComputeModule {
  /**
   * Creates what a worker computes with.
   *
   * @param names backends to use, best first; the next goes on where one fails. A module that is a backend itself passes over
   * them. @param onFault hears of faults that end nothing.
   */
  createBackend(names: readonly BackendName[], onFault: (fault: unknown) => void): Promise<ComputeBackend>;
}

/** What a worker is started with. */
export interface WorkerSettings {
  /** URL of a {@link ComputeModule}. */
  readonly computeModule: string;
  /** Names for that module; empty where it is a backend itself. */
  readonly backends: readonly BackendName[];
  /** What is loaded: whole experts from their folders, or their probes alone from files. Default experts. */
  readonly holds?: "experts" | "probes";
}

/** One expert of a model, as a worker needs to know it. */
export interface WorkerTarget {
  readonly spaceId: string;
  /** Of its tree as it was planned for, see `toTreeKey`. */
  readonly treeKey: string;
  /** Kind of the sketch that its tree is judged by elsewhere, see `layerSketchKinds`; for sums that go to another process. */
  readonly sketch?: string | undefined;
  readonly uses: readonly { readonly role: TensorRole; readonly tensorIndex: number; readonly matrix: StoredMatrix }[];
}

/** What is kept of an unfinished upload: running sums and digests, never weights. */
export interface ModelState {
  /** Per tensor: bytes accounted for, and the digests of their segments. */
  readonly tensors: readonly { readonly offset: number; readonly segmentDigests: Uint8Array }[];
  /**
   * Per target: its accumulator, nothing of one that cannot serve any more. Then what is known of the layer for their
   * trees.
   */
  readonly targets: readonly (readonly StatePart[])[];
}

/** What a whole model summed up to: what another process needs to embed it, and no weights. */
export interface ModelSums {
  /** Per target: the total of its accumulator, and the place of its sketch among {@link sketches}. */
  readonly targets: readonly { readonly state: readonly StatePart[]; readonly sketch: number | undefined }[];
  readonly sketches: readonly StatePart[];
  /** As {@link WorkerResult.weightsHash}; empty if it was not computed. */
  readonly weightsHash: string;
}

/** What a worker is to do with a block, in order. `model` counts the models of a stream from 0. */
export type BlockOperation =
  /** Text vectors that the models opened from here on are scored against. */
  | { readonly op: "texts"; readonly texts: Matrix | undefined }
  | {
      readonly op: "open";
      readonly model: number;
      readonly tensors: readonly StoredMatrix[];
      readonly targets: readonly WorkerTarget[];
      /** Where to go on. */
      readonly state: ModelState | undefined;
      /** Whether to report checkpoints. */
      readonly resumable: boolean;
      /** Whether one of the targets is to be chosen. */
      readonly isRouted: boolean;
      /** What the model summed up to elsewhere: no bytes follow. */
      readonly sums?: ModelSums | undefined;
    }
  /** Bytes of the open model's tensor, at this place of the block. */
  | { readonly op: "bytes"; readonly tensor: number; readonly at: number; readonly length: number }
  /** The open model is complete; its digest, if the client sent one. Without it the next `open` gives the model up. */
  | { readonly op: "close"; readonly digest: Uint8Array | undefined };

/** From the event loop to a worker. */
export type ToWorker =
  | { readonly type: "load"; readonly request: number; readonly spaceId: string; readonly folder: string }
  | { readonly type: "unload"; readonly spaceId: string }
  | {
      readonly type: "block";
      readonly stream: number;
      /** Goes back with `block-done`. */
      readonly buffer: ArrayBuffer;
      readonly operations: readonly BlockOperation[];
    }
  | { readonly type: "end"; readonly stream: number }
  /** Nothing more will come: the thread ends by itself. */
  | { readonly type: "close" };

/** Times of one model in a worker, in milliseconds. */
export interface WorkerTimes {
  readonly digestMs: number;
  readonly projectMs: number;
  readonly headMs: number;
}

/** Result of one expert. */
export interface TargetResult {
  /** Place among the model's targets. */
  readonly target: number;
  readonly tree: TreeMatch | undefined;
  readonly representation: Float32Array;
  readonly cosines: Float32Array;
  readonly logits: Float32Array;
}

/** Result of one model. */
export interface WorkerResult {
  /** One per target; of a routed model the chosen one alone; none of a worker that holds probes. */
  readonly targets: readonly TargetResult[];
  /** Of a worker that holds probes. */
  readonly sums?: ModelSums;
  readonly rowsProjected: number;
  /** Digest of the layer, see `EmbedModelFooter.digest`: lower-case hexadecimal. */
  readonly weightsHash: string;
  readonly times: WorkerTimes;
  /** What ran the products. */
  readonly backends: readonly BackendUse[];
}

/** From a worker to the event loop. */
export type FromWorker =
  | { readonly type: "ready"; readonly name: string; readonly device: string }
  /** A backend failed; the work goes on. */
  | { readonly type: "fault"; readonly error: PlainError }
  | { readonly type: "loaded"; readonly request: number }
  | { readonly type: "not-loaded"; readonly request: number; readonly error: PlainError }
  | { readonly type: "block-done"; readonly stream: number; readonly buffer: ArrayBuffer }
  | { readonly type: "checkpoint"; readonly stream: number; readonly model: number; readonly state: ModelState }
  | { readonly type: "result"; readonly stream: number; readonly model: number; readonly result: WorkerResult }
  | { readonly type: "failed"; readonly stream: number; readonly model: number; readonly error: PlainError };

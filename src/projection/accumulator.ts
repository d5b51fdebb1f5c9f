import type { BackendUse, Matrix, RowBlock } from "../compute/compute-backend.js";
import type { TensorRole } from "../weights/layer.js";
import type { StoredMatrix } from "./stored-matrix.js";

/** A named part of an accumulator's state. */
export interface StatePart extends Matrix {
  readonly name: string;
}

/**
 * What one expert keeps of a model while its layer streams through: running sums, never weights. Each architecture of
 * experts has its own; whoever feeds it knows only roles and rows.
 */
export interface Accumulator {
  /**
   * Takes in rows of the tensor that has this role. Tensors come one after another, in the order in which the layer was
   * selected; rows ascend.
   *
   * @throws InvalidInputError `NON_FINITE` if a number is NaN or infinite, with tensor, row and column.
   */
  add(role: TensorRole, block: RowBlock): Promise<void>;
  /** All that is needed to go on later: copies, small. */
  state(): Promise<StatePart[]>;
  /** Goes on from {@link state}. */
  restore(parts: readonly StatePart[]): Promise<void>;
  /**
   * What the whole layer summed up to, by the names that the accumulator's kind has for it: all that another process needs to
   * finish it, and no weights.
   */
  total(): Promise<StatePart[]>;
  /**
   * Takes the {@link total} of a whole layer that was projected elsewhere, by a stranger perhaps.
   *
   * @throws InvalidInputError `FIELD_INVALID` where a part is missing or unknown, `DUPLICATE`, `SHAPE_MISMATCH`, `NON_FINITE`.
   */
  adopt(parts: readonly StatePart[]): Promise<void>;
  /** What did the arithmetic so far; a backend may stand there once for each sum. */
  uses(): readonly BackendUse[];
  /** The responses of the layer to the probes, in the order in which the expert's encoder reads them. */
  finish(): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** A layer's tensors as an accumulator meets them. */
export type LayerMatrices = Partial<Readonly<Record<TensorRole, StoredMatrix>>>;

/** Creates accumulators for one expert's probes, resident on a backend. */
export interface Projector {
  /** Opens an accumulator for a layer with these tensors. */
  open(layer: LayerMatrices): Accumulator;
  dispose(): Promise<void>;
}

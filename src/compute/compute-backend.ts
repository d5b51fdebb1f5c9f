import type { Dtype } from "../linalg/dtype.js";

/** A row-major float32 matrix. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** rows · columns numbers. */
  readonly values: Float32Array;
}

/** Consecutive rows of a stored matrix X, as they lie in the file. */
export interface RowBlock {
  /** rowCount · columnCount little-endian numbers of `dtype`, row-major, at any alignment. */
  readonly bytes: Uint8Array;
  readonly dtype: Dtype;
  /** Index in X of the block's first row. */
  readonly rowBegin: number;
  readonly rowCount: number;
  readonly columnCount: number;
}

/**
 * The constant sides of a product Lᵀ·X·R, or of Lᵀ·X, or of X·R. With X of n × m: `left` is L, n × l; `right` is R,
 * m × r. At least one side is given.
 */
export interface ProductSides {
  readonly left?: Matrix;
  readonly right?: Matrix;
}

/**
 * A product Lᵀ·X·R that is summed up while X arrives in blocks of rows. Blocks may come in any order, each row may be
 * spread over several blocks (zeros elsewhere): the sum is linear in X.
 */
export interface RunningSum {
  /** Shape of the result: l × r; l × m without `right`; n × r without `left`. */
  readonly rows: number;
  readonly columns: number;
  /**
   * Adds Lᵀ[:, block]·block·R, or throws and leaves the sum as it was, unless the backend is volatile. The block's memory
   * is the caller's again when the promise settles. A non-finite number anywhere in the block must leave the sum
   * non-finite.
   */
  add(block: RowBlock): Promise<void>;
  /**
   * True where {@link isFinite} has to wait for a device. Whoever adds blocks then does not ask after each of them but
   * looks at the numbers that {@link read} gives at a checkpoint or at the end.
   */
  readonly finiteAtRead?: boolean;
  /** Whether every number of the sum is finite. */
  isFinite(): Promise<boolean>;
  /** The sum, row-major. It may lie in the sum's own memory: whoever adds more to it copies what is to stay. */
  read(): Promise<Float32Array>;
  /** Replaces the sum by a copy of one that {@link read} gave. */
  restore(values: Float32Array): Promise<void>;
  /** What added the blocks so far: one entry, unless a backend failed on the way and another went on. */
  uses(): readonly BackendUse[];
  dispose(): Promise<void>;
}

/** A backend's share of a sum. */
export interface BackendUse {
  readonly name: string;
  readonly device: string;
  /** Rows of blocks that it added. */
  readonly rows: number;
}

/** L and R, resident where the backend computes; any number of sums may be open on them. */
export interface Product {
  /** Bytes that L and R keep occupied, the backend's own copies included. */
  readonly residentBytes: number;
  /** Opens a sum over an X of `rows` × `columns`, at zero. */
  open(shape: { readonly rows: number; readonly columns: number }): RunningSum;
  dispose(): Promise<void>;
}

/** Does the arithmetic of projections on one kind of hardware. Lives in one thread. */
export interface ComputeBackend {
  readonly name: string;
  /** What really runs the products, for people: library, version, device. */
  readonly device: string;
  /** Whether sums lie on a device that may be lost: after a failure they may be gone. */
  readonly isVolatile: boolean;
  /**
   * Makes L and R resident. The matrices belong to the backend afterwards.
   *
   * @param again makes them anew, for a backend that has to load them twice; without it one that may have to keeps them.
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if the device cannot hold them.
   */
  load(sides: ProductSides, again?: () => Promise<ProductSides>): Promise<Product>;
  dispose(): Promise<void>;
}

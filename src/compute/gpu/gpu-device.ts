import type { Matrix } from "../compute-backend.js";

/** A row-major float32 matrix in a device's memory. */
export interface DeviceMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Bytes that it takes on the device, padding included. */
  readonly bytes: number;
  free(): void;
}

/** A block of X and what it is multiplied with: sum + Lᵀ[:, block]·X·R. At least one side is given. */
export interface BlockStep<M extends DeviceMatrix> {
  readonly sum: M;
  readonly left: M | undefined;
  readonly right: M | undefined;
  /** rowCount · columnCount numbers of X, row-major. The device does not read them after `add` returned. */
  readonly values: Float32Array;
  readonly rowBegin: number;
  readonly rowCount: number;
  readonly columnCount: number;
}

/** What the `gpu` backend needs of a device. One call at a time. */
export interface GpuDevice<M extends DeviceMatrix> {
  /** API, driver and device, for people; a software rasteriser is called one. */
  readonly description: string;
  /** Numbers that one matrix, padded to a multiple of four columns, may have. */
  readonly maxNumbers: number;
  /** Rows that one matrix may have: the height of a texture. Taller sides are kept in several. */
  readonly maxRows: number;
  /** Copies L or R to the device. */
  uploadSide(matrix: Matrix, side: "left" | "right"): Promise<M>;
  /** Copies a sum to the device. */
  uploadSum(matrix: Matrix): Promise<M>;
  /**
   * Starts adding a block to a sum and gives the new sum, which takes the old one's place; the old one is freed. Settles
   * when the block's numbers have been copied, which is before they have been multiplied; waits while too much is
   * unfinished.
   *
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if the device was lost or refused an earlier block.
   */
  add(step: BlockStep<M>): Promise<M>;
  /** A copy of a sum, after all that was started. Row-major, without padding. */
  read(sum: M): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Columns in fours: a GPU thread computes four neighbours at once. */
export function toFours(columns: number): number {
  return Math.ceil(columns / 4);
}

/** Copies rows of a matrix padded to fours into one without padding. */
export function unpad(padded: Float32Array, rows: number, columns: number): Float32Array {
  const width = 4 * toFours(columns);
  if (width === columns) return padded;
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    values.set(padded.subarray(row * width, row * width + columns), row * columns);
  }
  return values;
}

/** The inverse of {@link unpad}: zeros in the padding. */
export function pad({ rows, columns, values }: Matrix): Float32Array {
  const width = 4 * toFours(columns);
  if (width === columns) return values;
  const padded = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) padded.set(values.subarray(row * columns, (row + 1) * columns), row * width);
  return padded;
}

/** Whether a device's or driver's name is that of a renderer which computes on the CPU. */
export function isSoftwareRenderer(name: string): boolean {
  return /llvmpipe|lavapipe|swiftshader|softpipe|software rasterizer|microsoft basic render/i.test(name);
}

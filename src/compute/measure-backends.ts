import type { ComputeBackend, Matrix, RowBlock } from "./compute-backend.js";
import type { BackendCandidate } from "./failover/members.js";

/** What came of trying a backend. */
export interface BackendMeasurement {
  readonly name: string;
  /** What would run the products; empty where it does not start. */
  readonly device: string;
  /** Rate of the whole product, copies included, in 10⁹ floating-point operations per second; 0 where it does not start. */
  readonly gflops: number;
  /** ‖found − expected‖ / ‖expected‖ beside the reference; 0 where it does not start. */
  readonly relativeError: number;
  /** Why it is not used; absent where it can be. */
  readonly unusable: string | undefined;
}

/** What is measured. */
export interface MeasuredShape {
  /** r_U. */
  readonly probeCount: number;
  /** r_V. */
  readonly projectionWidth: number;
}

/** Relative error (L2) that a backend may have beside float64. GPUs multiply in shorter types or another order. */
export function toleranceOf(name: string): number {
  return ["gpu", "onnx-cuda", "onnx-webgpu"].includes(name) ? 1e-4 : 1e-5;
}

/** Rows and columns of the block: 512 KiB, half of what a worker is given at a time. */
const rows = 128;
const columns = 1024;

/** Blocks per round, with one reading at the end; of a GPU they overlap. */
const blocksPerRound = 4;

/** Rounds that count; the first of them all, which compiles and allocates, does not. */
const rounds = 3;

/** A backend that takes longer for its first block is measured by that alone, in milliseconds. */
const slowMs = 20;

/**
 * Measures backends on a small block with the real number of probes, and checks them against a reference.
 *
 * Time: some 100 ms for each.
 *
 * @param reference makes the expected numbers: `plain`, whose sums are float64.
 * @returns one measurement each: those that can be used first, by rate, then the others.
 */
export async function measureBackends(
  candidates: readonly BackendCandidate[],
  reference: ComputeBackend,
  shape: MeasuredShape,
): Promise<BackendMeasurement[]> {
  const sides = createSides(shape);
  const expected = await multiplyOnce(reference, sides());
  const measured: BackendMeasurement[] = [];
  for (const candidate of candidates) measured.push(await measureOne(candidate, sides, expected, shape));
  const rank = ({ unusable, gflops }: BackendMeasurement): number => (unusable === undefined ? -gflops : 1);
  return measured.sort((a, b) => rank(a) - rank(b));
}

type Sides = { readonly left: Matrix; readonly right: Matrix };

async function measureOne(
  { name, create }: BackendCandidate,
  sides: () => Sides,
  expected: Float32Array,
  shape: MeasuredShape,
): Promise<BackendMeasurement> {
  let backend: ComputeBackend | undefined;
  try {
    backend = await create();
    const { device } = backend;
    const { found, blockMs } = await time(backend, sides());
    const relativeError = toRelativeError(found, expected);
    const gflops = flopsPerBlock(shape) / (blockMs * 1e6);
    const tolerance = toleranceOf(name);
    // Also where it is NaN.
    const agrees = relativeError <= tolerance;
    const unusable = agrees ? undefined : `its numbers are off by ${relativeError}; ${tolerance} is allowed`;
    return { name, device, gflops, relativeError, unusable };
  } catch (error) {
    const unusable = error instanceof Error ? error.message : String(error);
    return { name, device: backend?.device ?? "", gflops: 0, relativeError: 0, unusable };
  } finally {
    await backend?.dispose().catch(() => {});
  }
}

/** Result of one block, and the time that a block takes in a row of them. */
async function time(backend: ComputeBackend, sides: Sides): Promise<{ found: Float32Array; blockMs: number }> {
  const product = await backend.load(sides);
  const block = createBlock();
  const started = performance.now();
  const first = product.open({ rows, columns });
  await first.add(block);
  const found = await first.read();
  await first.dispose();
  let blockMs = performance.now() - started;
  if (blockMs < slowMs || backend.isVolatile) {
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const sum = product.open({ rows, columns });
      const begin = performance.now();
      for (let i = 0; i < blocksPerRound; i++) await sum.add(block);
      await sum.read();
      times.push((performance.now() - begin) / blocksPerRound);
      await sum.dispose();
    }
    blockMs = Math.min(...times);
  }
  await product.dispose();
  return { found, blockMs };
}

async function multiplyOnce(backend: ComputeBackend, sides: Sides): Promise<Float32Array> {
  const product = await backend.load(sides);
  const sum = product.open({ rows, columns });
  await sum.add(createBlock());
  const values = await sum.read();
  await product.dispose();
  return values;
}

/** Both products: X·R, then Lᵀ times that. */
function flopsPerBlock({ probeCount, projectionWidth }: MeasuredShape): number {
  return 2 * rows * probeCount * (columns + projectionWidth);
}

function createSides({ probeCount, projectionWidth }: MeasuredShape): () => Sides {
  // Fresh ones each time: matrices belong to the backend that loads them.
  return () => ({
    left: createMatrix(rows, projectionWidth, 1),
    right: createMatrix(columns, probeCount, 2),
  });
}

function createBlock(): RowBlock {
  const { values } = createMatrix(rows, columns, 3);
  const bytes = new Uint8Array(values.buffer);
  return { bytes, dtype: "F32", rowBegin: 0, rowCount: rows, columnCount: columns };
}

/** Numbers from −1 to 1 by a linear congruence: no two runs differ. */
function createMatrix(
  height: number,
  width: number,
  seed: number,
): Matrix & { readonly values: Float32Array<ArrayBuffer> } {
  const values = new Float32Array(height * width);
  let state = seed;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return { rows: height, columns: width, values };
}

function toRelativeError(found: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let norm = 0;
  for (const [i, value] of expected.entries()) {
    difference += ((found[i] ?? Number.NaN) - value) ** 2;
    norm += value ** 2;
  }
  return Math.sqrt(difference / norm);
}

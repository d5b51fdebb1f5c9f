import { encodeGraph } from "../../onnx/graph.js";
import { GraphBuilder } from "../../onnx/graph-builder.js";
import { loadOnnxRuntime } from "../../onnx/load-onnxruntime.js";
import { PairTable } from "./pair-table.js";
import { yieldTo } from "./yield-to.js";

/** Vectors of equal length, one after another. */
export interface VectorTable {
  readonly count: number;
  /** Numbers of each. */
  readonly width: number;
  /** count × width, row-major. */
  readonly values: Float32Array;
}

/** Vectors of one side of a block of products. */
const blockVectors = 512;

/**
 * Squared Euclidean distances of all pairs by one matrix product, in blocks of 512 vectors: ‖x‖² + ‖y‖² − 2·⟨x, y⟩.
 *
 * Error: about 1e-7 of ‖x‖² + ‖y‖², so move the origin into the vectors first where they lie close together
 * (`centre`). Never below 0. Memory: 4 bytes per pair, and 1 MiB.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` where onnxruntime-node does not load; the signal's reason.
 */
export async function toSquaredDistances(
  { count, width, values }: VectorTable,
  { signal, threads = 2 }: { readonly signal?: AbortSignal | undefined; readonly threads?: number | undefined } = {},
): Promise<PairTable> {
  const distances = new PairTable(count);
  if (count < 2) return distances;
  const runtime = await loadOnnxRuntime(
    "finding trees needs the package onnxruntime-node: npm install onnxruntime-node",
  );
  const sessions = new Map<string, Awaited<ReturnType<typeof runtime.InferenceSession.create>>>();
  const squares = Float64Array.from({ length: count }, (_, vector) => toSquare({ count, width, values }, vector));
  const tensorOf = (begin: number, size: number) =>
    new runtime.Tensor("float32", values.subarray(begin * width, (begin + size) * width), [size, width]);
  try {
    for (let begin = 0; begin < count; begin += blockVectors) {
      const rows = Math.min(blockVectors, count - begin);
      for (let from = begin; from < count; from += blockVectors) {
        // `run` blocks the thread.
        await yieldTo(signal);
        const columns = Math.min(blockVectors, count - from);
        const key = `${rows} ${columns}`;
        const session =
          sessions.get(key) ??
          (await runtime.InferenceSession.create(encodeGraph(createProductGraph(rows, columns, width)), {
            executionProviders: ["cpu"],
            intraOpNumThreads: threads,
            interOpNumThreads: 1,
          }));
        sessions.set(key, session);
        const found = await session.run({ a: tensorOf(begin, rows), b: tensorOf(from, columns) });
        writeBlock(distances, squares, found["products"]?.data as Float32Array, { begin, rows, from, columns });
      }
    }
    return distances;
  } finally {
    for (const session of sessions.values()) await session.release();
  }
}

/** ‖x‖² of one vector. */
export function toSquare({ width, values }: VectorTable, vector: number): number {
  let sum = 0;
  for (let at = vector * width; at < (vector + 1) * width; at++) sum += (values[at] as number) ** 2;
  return sum;
}

/** The chosen vectors, about their mean: distances stay, and keep their digits. */
export function centre({ width, values }: VectorTable, chosen: ArrayLike<number>): VectorTable {
  const count = chosen.length;
  const mean = new Float64Array(width);
  for (let row = 0; row < count; row++) {
    const base = (chosen[row] as number) * width;
    for (let at = 0; at < width; at++) mean[at] = (mean[at] as number) + (values[base + at] as number);
  }
  const centred = new Float32Array(count * width);
  for (let row = 0; row < count; row++) {
    const base = (chosen[row] as number) * width;
    for (let at = 0; at < width; at++) {
      centred[row * width + at] = (values[base + at] as number) - (mean[at] as number) / count;
    }
  }
  return { count, width, values: centred };
}

interface Block {
  readonly begin: number;
  readonly rows: number;
  readonly from: number;
  readonly columns: number;
}

function writeBlock(
  distances: PairTable,
  squares: Float64Array,
  products: Float32Array,
  { begin, rows, from, columns }: Block,
): void {
  for (let row = 0; row < rows; row++) {
    const i = begin + row;
    for (let column = Math.max(0, i + 1 - from); column < columns; column++) {
      const j = from + column;
      const product = products[row * columns + column] as number;
      distances.values[distances.at(i, j)] = Math.max(0, (squares[i] as number) + (squares[j] as number) - 2 * product);
    }
  }
}

function createProductGraph(rows: number, columns: number, width: number) {
  const builder = new GraphBuilder();
  const [a, b] = [builder.input("a", [rows, width]), builder.input("b", [columns, width])];
  builder.output("products", builder.gemm(a, b, { b: true }));
  return builder.toGraph("products");
}

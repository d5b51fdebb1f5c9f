import type { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeGraph, type Graph } from "../../../onnx/graph.js";
import { loadOnnxRuntime } from "../../../onnx/load-onnxruntime.js";

/** Rows of unit length: a segment of a space, or some rows of one. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  /** Row-major: count × width. */
  readonly values: Float32Array;
  /** What is added to each row's cosines, 0 or {@link maskedBias}; absent: nothing. */
  readonly bias?: Float32Array;
}

/** The best rows of each query, in no order: `k` per query. */
export interface BestRows {
  readonly k: number;
  readonly cosines: Float32Array;
  /** Row numbers, exact up to 2^24. */
  readonly rows: Float32Array;
}

/** Products of queries and rows. */
export interface NearestGraph {
  /** Cosines of queries (queries × width, at unit length) with the `k` rows that have the largest. */
  best(queries: Float32Array, rows: Rows, k: number): Promise<BestRows>;
  /** Cosines of one query with all rows. */
  all(query: Float32Array, rows: Rows): Promise<Float32Array>;
  dispose(): Promise<void>;
}

/** Puts a row behind all that are not masked. */
export const maskedBias = -1e30;
/** A cosine from here on is that of a row that is not masked. */
export const leastCosine = -1e29;

/**
 * Opens the graphs: S = Q·Mᵀ + c, and the k largest of each row of S. M lies in our own memory, which the runtime reads in
 * place. `run` blocks its thread, so this belongs in a worker thread.
 *
 * @param threads threads of arithmetic.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if onnxruntime-node cannot be loaded.
 */
export async function openNearestGraph(threads: number): Promise<NearestGraph> {
  const runtime = await loadOnnxRuntime(
    "the embedded store searches with the package onnxruntime-node: npm install onnxruntime-node, or keep the catalogue in PostgreSQL",
  );
  const open = new Map<string, Promise<InferenceSession>>();
  const session = (graph: Graph): Promise<InferenceSession> => {
    const made =
      open.get(graph.name) ??
      runtime.InferenceSession.create(encodeGraph(graph), {
        executionProviders: ["cpu"],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        // Numbers of queries and rows vary; a remembered memory pattern for each would only grow.
        enableMemPattern: false,
      });
    open.set(graph.name, made);
    return made;
  };
  const tensor = (values: Float32Array, shape: readonly number[]): Tensor =>
    new runtime.Tensor("float32", values, shape);
  const toFeeds = (queries: Float32Array, { count, width, values, bias }: Rows): Record<string, Tensor> => ({
    Q: tensor(queries, [queries.length / width, width]),
    M: tensor(values, [count, width]),
    ...(bias && { C: tensor(bias, [1, count]) }),
  });
  return {
    best: async (queries, rows, k) => {
      const graph = await session(rows.bias === undefined ? graphs.best : graphs.bestOfBiased);
      const K = new runtime.Tensor("int64", BigInt64Array.of(BigInt(k)), [1]);
      const { V, I } = await graph.run({ ...toFeeds(queries, rows), K });
      return { k, cosines: V?.data as Float32Array, rows: I?.data as Float32Array };
    },
    all: async (query, rows) => {
      const graph = await session(rows.bias === undefined ? graphs.all : graphs.allOfBiased);
      const { S } = await graph.run(toFeeds(query, rows));
      return S?.data as Float32Array;
    },
    dispose: async () => {
      for (const one of open.values()) await (await one).release();
    },
  };
}

function toGraph(name: string, parts: { readonly isBiased: boolean; readonly isBest: boolean }): Graph {
  const gemm = { op: "Gemm", outputs: ["S"], attributes: { transB: { int: 1 } } };
  const inputs: Graph["inputs"] = [
    { name: "Q", type: "float32", shape: ["queries", "width"] },
    { name: "M", type: "float32", shape: ["rows", "width"] },
    ...(parts.isBiased ? [{ name: "C", type: "float32", shape: [1, "rows"] } as const] : []),
    ...(parts.isBest ? [{ name: "K", type: "int64", shape: [1] } as const] : []),
  ];
  const products = { ...gemm, inputs: parts.isBiased ? ["Q", "M", "C"] : ["Q", "M"] };
  if (!parts.isBest) {
    const outputs: Graph["outputs"] = [{ name: "S", type: "float32", shape: ["queries", "rows"] }];
    return { name, inputs, outputs, constants: [], nodes: [products] };
  }
  return {
    name,
    inputs,
    outputs: [
      { name: "V", type: "float32", shape: ["queries", "k"] },
      { name: "I", type: "float32", shape: ["queries", "k"] },
    ],
    constants: [],
    nodes: [
      products,
      // Whoever merges segments orders anyway.
      { op: "TopK", inputs: ["S", "K"], outputs: ["V", "J"], attributes: { sorted: { int: 0 } } },
      // 64-bit integers come as a BigInt each; a float holds every row number of a segment.
      { op: "Cast", inputs: ["J"], outputs: ["I"], attributes: { to: { int: 1 } } },
    ],
  };
}

const graphs = {
  best: toGraph("best", { isBiased: false, isBest: true }),
  bestOfBiased: toGraph("best-of-biased", { isBiased: true, isBest: true }),
  all: toGraph("all", { isBiased: false, isBest: false }),
  allOfBiased: toGraph("all-of-biased", { isBiased: true, isBest: false }),
};

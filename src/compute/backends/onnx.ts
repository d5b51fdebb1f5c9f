import type { InferenceSession, Tensor } from "onnxruntime-node";
import { InternalError, UnavailableError } from "../../errors/probestream-error.js";
import { allFinite } from "../../linalg/all-finite.js";
import { dtypeBytes } from "../../linalg/dtype.js";
import { widen } from "../../linalg/widen.js";
import { encodeGraph, type Graph } from "../../onnx/graph.js";
import type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "../compute-backend.js";
import { toMissingPackage } from "../missing-package.js";
import { assertBlockFits, toSumShape } from "../product-shape.js";
import { createUseCounter, type UseCounter } from "../use-counter.js";

type Runtime = typeof import("onnxruntime-node");

/** Below this many numbers a table look-up in JavaScript beats the cost of one more `run` (some 15 µs). */
const castInGraphFrom = 16_384;

/**
 * The onnxruntime backend on CPU: one graph holds both products and the running sum, Z' = Z + Lᵀ·(X·R). R is a
 * constant of the graph, so that the runtime packs it once; L's rows and Z are inputs that lie in our own memory.
 *
 * `run` blocks its thread although it returns a promise, so this belongs in a worker thread. One thread of arithmetic
 * each: streams share the cores by workers, not inside an operator.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if onnxruntime-node cannot be loaded.
 */
export async function createOnnxBackend(): Promise<ComputeBackend> {
  const runtime = await loadRuntime();
  const sessions = createSessions(runtime);
  const toFloat32 = createWidening(runtime, sessions);
  const version = runtime.env.versions.node ?? runtime.env.versions.common;
  const label = { name: "onnx", device: `onnxruntime ${version}, CPU, 1 thread` };
  return {
    ...label,
    isVolatile: false,
    load: (sides) => createProduct(runtime, sessions, toFloat32, () => createUseCounter(label), sides),
    dispose: () => sessions.dispose(),
  };
}

async function loadRuntime(): Promise<Runtime> {
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    throw new UnavailableError(
      "BACKEND_UNAVAILABLE",
      toMissingPackage("onnx", "onnxruntime-node"),
      { backend: "onnx" },
      { cause },
    );
  }
}

/** Graphs without constants, shared by all products of a backend and made at first use. */
interface Sessions {
  create(graph: Graph): Promise<InferenceSession>;
  /** Ends one that {@link create} made; the runtime throws where a session ends twice. */
  release(session: InferenceSession): Promise<void>;
  /** X[n] float16 → Y[n] float32. */
  cast(): Promise<InferenceSession>;
  /** Z' = Z + Lᵀ·X. */
  left(): Promise<InferenceSession>;
  dispose(): Promise<void>;
}

/** What all sessions of the backend are made with. */
export const sessionOptions: InferenceSession.SessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  // Block heights vary; a remembered memory pattern per height would only grow.
  enableMemPattern: false,
};

function createSessions(runtime: Runtime): Sessions {
  const open = new Set<InferenceSession>();
  const create = async (graph: Graph): Promise<InferenceSession> => {
    const session = await runtime.InferenceSession.create(encodeGraph(graph), sessionOptions);
    open.add(session);
    return session;
  };
  const release = async (session: InferenceSession): Promise<void> => {
    if (open.delete(session)) await session.release();
  };
  let cast: Promise<InferenceSession> | undefined;
  let left: Promise<InferenceSession> | undefined;
  return {
    create,
    release,
    cast: () => {
      cast ??= create(castGraph);
      return cast;
    },
    left: () => {
      left ??= create(leftGraph);
      return left;
    },
    dispose: async () => {
      await Promise.all([...open].map(release));
    },
  };
}

const castGraph: Graph = {
  name: "cast",
  inputs: [{ name: "X", type: "float16", shape: ["n"] }],
  outputs: [{ name: "Y", type: "float32", shape: ["n"] }],
  constants: [],
  nodes: [{ op: "Cast", inputs: ["X"], outputs: ["Y"], attributes: { to: { int: 1 } } }],
};

const leftGraph: Graph = {
  name: "left",
  inputs: [
    { name: "L", type: "float32", shape: ["rows", "l"] },
    { name: "X", type: "float32", shape: ["rows", "m"] },
    { name: "Z", type: "float32", shape: ["l", "m"] },
  ],
  outputs: [{ name: "sum", type: "float32", shape: ["l", "m"] }],
  constants: [],
  nodes: [{ op: "Gemm", inputs: ["L", "X", "Z"], outputs: ["sum"], attributes: { transA: { int: 1 } } }],
};

function rightGraph({ rows, columns, values }: Matrix): Graph {
  return {
    name: "right",
    inputs: [{ name: "X", type: "float32", shape: ["rows", rows] }],
    outputs: [{ name: "T", type: "float32", shape: ["rows", columns] }],
    constants: [{ name: "R", shape: [rows, columns], values }],
    nodes: [{ op: "MatMul", inputs: ["X", "R"], outputs: ["T"] }],
  };
}

/** Z' = Z + Lᵀ·(X·R), with R a constant: inputs L (rows × l), X (rows × m), Z (l × r); output `sum`. */
export function bothGraph(left: Pick<Matrix, "columns">, right: Matrix): Graph {
  const sum = [left.columns, right.columns];
  return {
    name: "both",
    inputs: [
      { name: "L", type: "float32", shape: ["rows", left.columns] },
      { name: "X", type: "float32", shape: ["rows", right.rows] },
      { name: "Z", type: "float32", shape: sum },
    ],
    outputs: [{ name: "sum", type: "float32", shape: sum }],
    constants: [{ name: "R", shape: [right.rows, right.columns], values: right.values }],
    nodes: [
      { op: "MatMul", inputs: ["X", "R"], outputs: ["T"] },
      { op: "Gemm", inputs: ["L", "T", "Z"], outputs: ["sum"], attributes: { transA: { int: 1 } } },
    ],
  };
}

async function createProduct(
  runtime: Runtime,
  sessions: Sessions,
  toFloat32: Widening,
  openCounter: () => UseCounter,
  { left, right }: ProductSides,
): Promise<Product> {
  if (right === undefined) {
    if (left === undefined) throw new InternalError("INTERNAL", "a product needs L or R");
    const session = await sessions.left();
    return {
      residentBytes: left.values.byteLength,
      open: (x) => createGemmSum(runtime, session, toFloat32, openCounter(), left, undefined, x),
      dispose: async () => {},
    };
  }
  const session = await sessions.create(left === undefined ? rightGraph(right) : bothGraph(left, right));
  // Only the shape of R is needed from here on: its numbers are the session's.
  const shape = { rows: right.rows, columns: right.columns };
  return {
    residentBytes: (left?.values.byteLength ?? 0) + right.rows * right.columns * 4,
    open: (x) =>
      left === undefined
        ? createRowSum(runtime, session, toFloat32, openCounter(), shape, x)
        : createGemmSum(runtime, session, toFloat32, openCounter(), left, shape, x),
    dispose: () => sessions.release(session),
  };
}

type Widening = (block: RowBlock) => Promise<Float32Array>;

/**
 * Gives a block's numbers as float32: a view where they are that already, else in one buffer, used again by all sums: a
 * backend belongs to one caller at a time, and 64 experts that read one 8-bit layer must not keep 64 buffers.
 */
function createWidening(runtime: Runtime, sessions: Sessions): Widening {
  let scratch = new Float32Array(0);
  return async ({ bytes, dtype, rowCount, columnCount }) => {
    const count = rowCount * columnCount;
    if (dtype === "F32" && bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    if (scratch.length < count) scratch = new Float32Array(count);
    const target = scratch.subarray(0, count);
    if (dtype === "F16" && count >= castInGraphFrom && bytes.byteOffset % 2 === 0) {
      const source = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
      const session = await sessions.cast();
      await session.run(
        { X: new runtime.Tensor("float16", source, [count]) },
        { Y: new runtime.Tensor("float32", target, [count]) },
      );
    } else {
      widen(bytes, dtype, target);
    }
    return target;
  };
}

/** A sum that the graph itself keeps: Z goes in, Z + Lᵀ·X·R comes out into the other of two buffers. */
function createGemmSum(
  runtime: Runtime,
  session: InferenceSession,
  toFloat32: Widening,
  counter: UseCounter,
  left: Matrix,
  right: { readonly rows: number; readonly columns: number } | undefined,
  x: { readonly rows: number; readonly columns: number },
): RunningSum {
  const { rows, columns } = toSumShape({ left, right }, x);
  const tensor = (): Tensor => new runtime.Tensor("float32", new Float32Array(rows * columns), [rows, columns]);
  let sum = tensor();
  let next = tensor();
  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const { rowBegin, rowCount, columnCount } = block;
      const rowsOfL = left.values.subarray(rowBegin * left.columns, (rowBegin + rowCount) * left.columns);
      await session.run(
        {
          L: new runtime.Tensor("float32", rowsOfL, [rowCount, left.columns]),
          X: new runtime.Tensor("float32", await toFloat32(block), [rowCount, columnCount]),
          Z: sum,
        },
        { sum: next },
      );
      [sum, next] = [next, sum];
      counter.add(rowCount);
    },
    isFinite: async () => allFinite(sum.data as Float32Array),
    read: async () => (sum.data as Float32Array).slice(),
    restore: async (values) => (sum.data as Float32Array).set(values),
    uses: counter.uses,
    dispose: async () => {},
  };
}

/** X·R without L: each row of the result belongs to one row of X. */
function createRowSum(
  runtime: Runtime,
  session: InferenceSession,
  toFloat32: Widening,
  counter: UseCounter,
  right: { readonly rows: number; readonly columns: number },
  x: { readonly rows: number; readonly columns: number },
): RunningSum {
  const { rows, columns } = toSumShape({ right }, x);
  const sum = new Float32Array(rows * columns);
  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const { rowBegin, rowCount, columnCount } = block;
      const product = new Float32Array(rowCount * columns);
      await session.run(
        { X: new runtime.Tensor("float32", await toFloat32(block), [rowCount, columnCount]) },
        { T: new runtime.Tensor("float32", product, [rowCount, columns]) },
      );
      const offset = rowBegin * columns;
      for (let i = 0; i < product.length; i++) sum[offset + i] = (sum[offset + i] as number) + (product[i] as number);
      counter.add(rowCount);
    },
    isFinite: async () => allFinite(sum),
    read: async () => sum.slice(),
    restore: async (values) => sum.set(values),
    uses: counter.uses,
    dispose: async () => {},
  };
}

import type { InferenceSession, Tensor } from "onnxruntime-node";
import { InternalError, UnavailableError } from "../../errors/probestream-error.js";
import { allFinite } from "../../linalg/all-finite.js";
import { dtypeBytes } from "../../linalg/dtype.js";
import { transpose } from "../../linalg/transpose.js";
import { widen } from "../../linalg/widen.js";
import { encodeGraph, type Graph } from "../../onnx/graph.js";
import { loadOnnxRuntime, type OnnxRuntime } from "../../onnx/load-onnxruntime.js";
import type { ComputeBackend, Matrix, Product, ProductSides, RowBlock, RunningSum } from "../compute-backend.js";
import { toMissingPackage } from "../missing-package.js";
import { assertBlockFits, type Extents, toSumShape } from "../product-shape.js";
import { createUseCounter, type UseCounter } from "../use-counter.js";

/** Below this many numbers a table look-up in JavaScript beats the cost of one more `run` (some 15 µs). */
const castInGraphFrom = 16_384;

/** What onnxruntime runs a graph on. */
export type OnnxProvider = "cpu" | "cuda" | "webgpu";

const providers: Readonly<Record<OnnxProvider, { readonly name: string; readonly device: string }>> = {
  cpu: { name: "onnx", device: "CPU, 1 thread" },
  cuda: { name: "onnx-cuda", device: "CUDA" },
  webgpu: { name: "onnx-webgpu", device: "WebGPU" },
};

/**
 * The onnxruntime backend, on CPU or on a GPU that the installed runtime has a provider for: one graph holds both
 * products and the running sum, Z' = Z + Lᵀ·(X·R). R is a constant of the graph, so that the runtime packs it once; L's
 * rows and Z are inputs that lie in our own memory.
 *
 * `run` blocks its thread although it returns a promise, so this belongs in a worker thread. One thread of arithmetic
 * each: streams share the cores by workers, not inside an operator. On a GPU the sum is still read back after each block,
 * so that none is lost with the device.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if onnxruntime-node cannot be loaded, or has no such provider, or that
 * finds no device.
 */
export async function createOnnxBackend(provider: OnnxProvider = "cpu"): Promise<ComputeBackend> {
  const runtime = await loadOnnxRuntime(toMissingPackage("onnx", "onnxruntime-node"));
  const sessions = createSessions(runtime, provider);
  if (provider !== "cpu") await proveProvider(sessions, provider);
  const version = runtime.env.versions.node ?? runtime.env.versions.common;
  const { name, device } = providers[provider];
  const label = { name, device: `onnxruntime ${version}, ${device}` };
  const shared: Shared = {
    runtime,
    sessions,
    toFloat32: createWidening(runtime, sessions),
    zeros: createZeros(runtime),
    openCounter: () => createUseCounter(label),
  };
  return {
    ...label,
    isVolatile: false,
    load: (sides) => createProduct(shared, sides),
    dispose: () => sessions.dispose(),
  };
}

/** Graphs without constants, shared by all products of a backend and made at first use. */
interface Sessions {
  create(graph: Graph): Promise<InferenceSession>;
  /** Ends one that {@link create} made; the runtime throws where a session ends twice. */
  release(session: InferenceSession): Promise<void>;
  /** X[n] float16 → Y[n] float32. */
  cast(): Promise<InferenceSession>;
  /** Z' = Z + Lᵀ·X, of Lᵀ as it is given. */
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

/** Makes the smallest session: a provider that is missing, or finds no device, shows then and not before. */
async function proveProvider(sessions: Sessions, provider: OnnxProvider): Promise<void> {
  try {
    await sessions.left();
  } catch (cause) {
    const { name, device } = providers[provider];
    throw new UnavailableError(
      "BACKEND_UNAVAILABLE",
      `not available: onnxruntime has no ${device} here (${toLastSentence(cause)}); ${hints[provider]}`,
      { backend: name },
      { cause },
    );
  }
}

const hints: Readonly<Record<OnnxProvider, string>> = {
  cpu: "choose another --backend",
  cuda: "it needs an NVIDIA driver, CUDA and cuDNN, and onnxruntime's CUDA provider, which `npm rebuild onnxruntime-node` downloads",
  webgpu: "it needs a GPU with its Vulkan driver",
};

/** The last sentence of the runtime's message, which begins with places in its source. */
function toLastSentence(error: unknown): string {
  const [line = ""] = String(error instanceof Error ? error.message : error).split("\n");
  return line.replace(/^.*? was false\. /, "").slice(0, 200);
}

function createSessions(runtime: OnnxRuntime, provider: OnnxProvider): Sessions {
  const open = new Set<InferenceSession>();
  const create = async (graph: Graph): Promise<InferenceSession> => {
    const session = await runtime.InferenceSession.create(encodeGraph(graph), {
      ...sessionOptions,
      executionProviders: [provider],
    });
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
    { name: "L", type: "float32", shape: ["l", "rows"] },
    { name: "X", type: "float32", shape: ["rows", "m"] },
    { name: "Z", type: "float32", shape: ["l", "m"] },
  ],
  outputs: [{ name: "sum", type: "float32", shape: ["l", "m"] }],
  constants: [],
  nodes: [{ op: "Gemm", inputs: ["L", "X", "Z"], outputs: ["sum"] }],
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

/** What the products and sums of a backend have in common. */
interface Shared {
  readonly runtime: OnnxRuntime;
  readonly sessions: Sessions;
  readonly toFloat32: Widening;
  readonly zeros: Zeros;
  readonly openCounter: () => UseCounter;
}

async function createProduct(shared: Shared, { left, right }: ProductSides): Promise<Product> {
  if (right === undefined) {
    if (left === undefined) throw new InternalError("INTERNAL", "a product needs L or R");
    const session = await shared.sessions.left();
    const leftT = transpose(left);
    const shape = { rows: left.rows, columns: left.columns };
    return {
      residentBytes: leftT.values.byteLength,
      open: (x) => createGemmSum(shared, session, { left: shape }, x, (block) => toColumnsOf(leftT, block)),
      dispose: async () => {},
    };
  }
  const session = await shared.sessions.create(left === undefined ? rightGraph(right) : bothGraph(left, right));
  // Only the shape of R is needed from here on: its numbers are the session's.
  const shape = { rows: right.rows, columns: right.columns };
  return {
    residentBytes: (left?.values.byteLength ?? 0) + right.rows * right.columns * 4,
    open: (x) =>
      left === undefined
        ? createRowSum(shared, session, shape, x)
        : createGemmSum(shared, session, { left, right: shape }, x, (block) => toRowsOf(left, block)),
    dispose: () => shared.sessions.release(session),
  };
}

type Widening = (block: RowBlock) => Promise<Float32Array>;

/**
 * Gives a block's numbers as float32: a view where they are that already, else in one buffer, used again by all sums: a
 * backend belongs to one caller at a time, and 64 experts that read one 8-bit layer must not keep 64 buffers.
 */
function createWidening(runtime: OnnxRuntime, sessions: Sessions): Widening {
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

/** Gives tensors of zeros that nobody writes to: all sums of a backend begin with the same. */
type Zeros = (rows: number, columns: number) => Tensor;

function createZeros(runtime: OnnxRuntime): Zeros {
  let zeros = new Float32Array(0);
  return (rows, columns) => {
    const count = rows * columns;
    if (zeros.length < count) zeros = new Float32Array(count);
    return new runtime.Tensor("float32", zeros.subarray(0, count), [rows, columns]);
  };
}

/**
 * Z = Lᵀ·X·R, or Lᵀ·X, summed up by the graph: Z goes in, Z and more comes out into another buffer. The two are made when
 * they are needed, for many a sum is of one block, and what a model allocates is garbage soon.
 */
function createGemmSum(
  shared: Shared,
  session: InferenceSession,
  sides: { readonly left: Extents; readonly right?: Extents },
  x: Extents,
  toL: (block: RowBlock) => Matrix,
): RunningSum {
  const { runtime, zeros, openCounter } = shared;
  const { rows, columns } = toSumShape(sides, x);
  const create = (): Tensor => new runtime.Tensor("float32", new Float32Array(rows * columns), [rows, columns]);
  let sum: Tensor | undefined;
  let spare: Tensor | undefined;
  const values = (): Float32Array => {
    sum ??= create();
    return sum.data as Float32Array;
  };
  const counter = openCounter();
  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const l = toL(block);
      const next = spare ?? create();
      spare = next;
      await session.run(
        {
          L: new runtime.Tensor("float32", l.values, [l.rows, l.columns]),
          X: await toTensor(shared, block),
          Z: sum ?? zeros(rows, columns),
        },
        { sum: next },
      );
      spare = sum;
      sum = next;
      counter.add(block.rowCount);
    },
    isFinite: async () => allFinite(values()),
    read: async () => values(),
    restore: async (saved) => values().set(saved),
    uses: counter.uses,
    dispose: async () => {},
  };
}

/** The rows of L that meet a block's: a view. */
function toRowsOf({ columns, values }: Matrix, { rowBegin, rowCount }: RowBlock): Matrix {
  return { rows: rowCount, columns, values: values.subarray(rowBegin * columns, (rowBegin + rowCount) * columns) };
}

/**
 * The columns of Lᵀ that meet a block's rows: all of them as they are, for a block that holds all of X, as that of a LoRA
 * layer does, and else a copy. The runtime turns an L of rows over in each run, which takes half as long as the product.
 */
function toColumnsOf(leftT: Matrix, { rowBegin, rowCount }: RowBlock): Matrix {
  const { rows, columns, values } = leftT;
  if (rowCount === columns) return leftT;
  const part = new Float32Array(rows * rowCount);
  for (let row = 0; row < rows; row++) {
    const begin = row * columns + rowBegin;
    part.set(values.subarray(begin, begin + rowCount), row * rowCount);
  }
  return { rows, columns: rowCount, values: part };
}

async function toTensor({ runtime, toFloat32 }: Shared, block: RowBlock): Promise<Tensor> {
  return new runtime.Tensor("float32", await toFloat32(block), [block.rowCount, block.columnCount]);
}

/** X·R without L: each row of the result belongs to one row of X. */
function createRowSum(shared: Shared, session: InferenceSession, right: Extents, x: Extents): RunningSum {
  const { rows, columns } = toSumShape({ right }, x);
  const counter = shared.openCounter();
  const sum = new Float32Array(rows * columns);
  let isZero = true;
  return {
    rows,
    columns,
    add: async (block) => {
      assertBlockFits(block, x, dtypeBytes[block.dtype]);
      const { rowBegin, rowCount } = block;
      const offset = rowBegin * columns;
      const product = isZero ? sum.subarray(offset, offset + rowCount * columns) : new Float32Array(rowCount * columns);
      await session.run(
        { X: await toTensor(shared, block) },
        { T: new shared.runtime.Tensor("float32", product, [rowCount, columns]) },
      );
      if (!isZero) {
        for (let i = 0; i < product.length; i++) sum[offset + i] = (sum[offset + i] as number) + (product[i] as number);
      }
      isZero = false;
      counter.add(rowCount);
    },
    isFinite: async () => allFinite(sum),
    read: async () => sum,
    restore: async (values) => {
      sum.set(values);
      isZero = false;
    },
    uses: counter.uses,
    dispose: async () => {},
  };
}

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { bothGraph, sessionOptions } from "../src/compute/backends/onnx.js";
import type { ComputeBackend, RowBlock } from "../src/compute/compute-backend.js";
import { type BackendName, createBackend, isBackendName } from "../src/compute/create-backend.js";
import { encodeGraph } from "../src/onnx/graph.js";
import type { Accumulator } from "../src/projection/accumulator.js";
import { createProbexProjector, type Probes } from "../src/projection/probex-projector.js";
import type { StoredMatrix } from "../src/projection/stored-matrix.js";
import { blocksPerStream } from "../src/search/block-writer.js";
import type { TensorRole } from "../src/weights/layer.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { createMatrix, createProductSides, type ProductSize } from "./product-sides.js";
import type { ProductReply, ProductRequest } from "./product-worker.js";
import { createWeights, toServerBlocks } from "./projection-layer.js";
import { median, printVerdicts, relativeError, toMarkdownTable, toSpread, toVerdict, type Verdict } from "./report.js";

const block: ProductSize = { rows: 1024, columns: 4096, probeCount: 128, projectionWidth: 128 };
const blockBytes = block.rows * block.columns * 4;
const MOST_SLOWDOWN = 1.1;

const lora = { rows: 1280, columns: 1280, rank: 16, probeCount: 128, projectionWidth: 128, pairs: 64 };
/** Layers that differ; multiplied out, all of them would take 400 MB. */
const DISTINCT_PAIRS = 8;
/** So often the pairs are gone through in a round, which then takes about half as long as that of the dense layers. */
const PAIR_REPEATS = 8;
const LEAST_GAIN = 15;
const MOST_ERROR = 1e-5;

/** What does a worker thread cost, and what does it bring that LoRA layers are never multiplied out? */
export const worker: Bench = {
  summary: "the bare onnxruntime product beside the backend in a worker thread; LoRA pairs beside dense layers",
  options: {
    rounds: { help: "measured rounds, subjects in turns", fallback: "9" },
    blocks: { help: "blocks of 16 MiB per round", fallback: "24" },
    "lora-backend": { help: "backend of the LoRA pairs", fallback: "onnx" },
  },
  run: async (options) => {
    const name = options.text("lora-backend");
    if (!isBackendName(name)) throw new Error(`--lora-backend names ${name}, which is no backend`);
    const isCheap = await measureThread(options);
    return (await measureLora(name, options.count("rounds"))) && isCheap;
  },
};

/** A way to multiply blocks: seconds for so many of them. */
interface Subject {
  readonly name: string;
  run(count: number): Promise<number>;
  end(): Promise<void>;
}

async function measureThread(options: BenchOptions): Promise<boolean> {
  const [rounds, blocks] = [options.count("rounds"), options.count("blocks")];
  const sources = Array.from({ length: blocksPerStream }, (_, i) =>
    createWeights(block.rows * block.columns, "F32", 10 + i),
  );
  const subjects = [await createBare(sources), await createThreaded(sources)];
  const seconds = subjects.map((): number[] => []);
  const slowdowns: number[] = [];
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const turns = subjects.map((subject, index) => ({ subject, index }));
    if (round % 2 === 1) turns.reverse();
    const found = subjects.map(() => 0);
    for (const { subject, index } of turns) found[index] = await subject.run(blocks);
    if (round === 0) continue;
    for (const [index, each] of found.entries()) seconds[index]?.push(each);
    slowdowns.push((found[1] ?? Number.NaN) / (found[0] ?? Number.NaN));
  }
  for (const subject of subjects) await subject.end();
  const flops = 2 * block.rows * block.probeCount * (block.columns + block.projectionWidth);
  console.log(
    toMarkdownTable(
      [`blocks of ${block.rows} × ${block.columns} F32, ${block.probeCount} probes`, "ms per block", "GFLOP/s"],
      subjects.map(({ name }, index) => {
        const each = (seconds[index] ?? []).map((all) => all / blocks);
        return [
          name,
          toSpread(
            each.map((one) => one * 1000),
            1,
          ),
          toSpread(
            each.map((one) => flops / one / 1e9),
            1,
          ),
        ];
      }),
    ),
  );
  const slowdown = median(slowdowns);
  const met = slowdown <= MOST_SLOWDOWN;
  const measured = `behind a worker thread ${slowdown.toFixed(3)} times as long, ${toSpread(slowdowns, 2)}`;
  console.log(`\n${toVerdict(met, measured, `at most ${MOST_SLOWDOWN}`)}\n`);
  return met;
}

/** `session.run` of the backend's own graph, all tensors there beforehand, on this thread. */
async function createBare(sources: readonly Uint8Array[]): Promise<Subject> {
  const { rows, columns } = block;
  const { left, right } = createProductSides(block);
  const session = await InferenceSession.create(encodeGraph(bothGraph(left, right)), sessionOptions);
  const shape = [left.columns, right.columns];
  const zero = (): Tensor => new Tensor("float32", new Float32Array(left.columns * right.columns), shape);
  const l = new Tensor("float32", left.values, [rows, left.columns]);
  const xs = sources.map(({ buffer }) => new Tensor("float32", new Float32Array(buffer), [rows, columns]));
  let [sum, next] = [zero(), zero()];
  return {
    name: "session.run alone",
    run: async (count) => {
      const begin = performance.now();
      for (let i = 0; i < count; i++) {
        await session.run({ L: l, X: xs[i % xs.length] as Tensor, Z: sum }, { sum: next });
        [sum, next] = [next, sum];
      }
      return (performance.now() - begin) / 1000;
    },
    end: () => session.release(),
  };
}

/**
 * The backend behind a thread as the server has it: blocks are copied into buffers of a fixed pool, which are
 * transferred there and back; one is filled while another is multiplied.
 */
async function createThreaded(sources: readonly Uint8Array[]): Promise<Subject> {
  const thread = new Worker(new URL("./product-worker.js", import.meta.url), { workerData: block });
  await once(thread, "message");
  const free = Array.from({ length: blocksPerStream }, () => new ArrayBuffer(blockBytes));
  let wake: () => void = () => {};
  thread.on("message", ({ buffer }: ProductReply) => {
    if (buffer !== undefined) free.push(buffer);
    wake();
  });
  const returned = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  return {
    name: "backend behind a worker thread",
    run: async (count) => {
      const begin = performance.now();
      for (let i = 0; i < count; i++) {
        while (free.length === 0) await returned();
        const buffer = free.pop() as ArrayBuffer;
        new Uint8Array(buffer).set(sources[i % sources.length] as Uint8Array);
        thread.postMessage({ buffer } satisfies ProductRequest, [buffer]);
      }
      while (free.length < blocksPerStream) await returned();
      return (performance.now() - begin) / 1000;
    },
    end: async () => {
      const ended = once(thread, "exit");
      thread.postMessage({} satisfies ProductRequest);
      await ended;
    },
  };
}

async function measureLora(name: BackendName, rounds: number): Promise<boolean> {
  const { rows, columns, rank, probeCount, projectionWidth, pairs } = lora;
  const backend = await createBackend(name);
  const probes = (): Probes => ({
    u: createMatrix(columns, probeCount, 5),
    v: createMatrix(projectionWidth, rows, 6),
  });
  const [thin, dense] = [await createLoraWork(backend, probes()), await createDenseWork(backend, probes())];
  const seconds: { readonly thin: number[]; readonly dense: number[] } = { thin: [], dense: [] };
  let error = 0;
  for (let round = 0; round <= rounds; round++) {
    const [found, expected] = [await timePairs(thin.project, PAIR_REPEATS), await timePairs(dense.project, 1)];
    if (round === 0) error = relativeError([...found.last], [...expected.last]);
    else {
      seconds.thin.push(found.seconds);
      seconds.dense.push(expected.seconds);
    }
  }
  await thin.dispose();
  await dense.dispose();
  await backend.dispose();
  const gains = seconds.dense.map((each, index) => each / (seconds.thin[index] ?? Number.NaN));
  const toMs = (each: number): number => each * 1000;
  console.log(
    toMarkdownTable(
      [`${pairs} layers of ${rows} × ${columns}, ${probeCount} probes, ${name}`, "ms"],
      [
        [`LoRA pairs of rank ${rank}`, toSpread(seconds.thin.map(toMs), 1)],
        ["multiplied out beforehand, dense", toSpread(seconds.dense.map(toMs), 1)],
      ],
    ),
  );
  const gain = median(gains);
  const verdicts: Verdict[] = [
    [gain >= LEAST_GAIN, `LoRA pairs ${gain.toFixed(1)} times as fast, ${toSpread(gains, 1)}`, `${LEAST_GAIN}`],
    [error <= MOST_ERROR, `they differ by ${error.toExponential(1)}`, `at most ${MOST_ERROR}`],
  ];
  console.log("");
  return printVerdicts(verdicts);
}

/** Projects one of the layers, by its number. */
type Project = (index: number) => Promise<Float32Array>;

interface Work {
  readonly project: Project;
  dispose(): Promise<void>;
}

/** Seconds for all layers once, the mean over `repeats`. */
async function timePairs(project: Project, repeats: number): Promise<{ seconds: number; last: Float32Array }> {
  let last: Float32Array = new Float32Array(0);
  const begin = performance.now();
  for (let i = 0; i < lora.pairs * repeats; i++) last = await project(i % DISTINCT_PAIRS);
  return { seconds: (performance.now() - begin) / 1000 / repeats, last };
}

function toMatrix(name: string, rowCount: number, columnCount: number): StoredMatrix {
  return { name, dtype: "F32", firstRow: 0, rowCount, columnCount, columns: { begin: 0, end: columnCount } };
}

/** B and A of a layer, by its number. */
function createPair(index: number): { readonly up: Uint8Array; readonly down: Uint8Array } {
  const { rows, columns, rank } = lora;
  return {
    up: createWeights(rows * rank, "F32", 100 + index),
    down: createWeights(rank * columns, "F32", 200 + index),
  };
}

async function feed(
  accumulator: Accumulator,
  parts: readonly (readonly [TensorRole, RowBlock])[],
): Promise<Float32Array> {
  for (const [role, part] of parts) await accumulator.add(role, part);
  const values = await accumulator.finish();
  await accumulator.dispose();
  return values;
}

async function createLoraWork(backend: ComputeBackend, probes: Probes): Promise<Work> {
  const { rows, columns, rank } = lora;
  const projector = await createProbexProjector(backend, { kind: "lora", layout: "linear" }, probes);
  const matrices = { "lora-up": toMatrix("up", rows, rank), "lora-down": toMatrix("down", rank, columns) };
  const pairs = Array.from({ length: DISTINCT_PAIRS }, (_, index) => {
    const { up, down } = createPair(index);
    return [
      ...toServerBlocks(down, "F32", rank, columns).map((part) => ["lora-down", part] as const),
      ...toServerBlocks(up, "F32", rows, rank).map((part) => ["lora-up", part] as const),
    ];
  });
  return {
    project: (index) => feed(projector.open(matrices), pairs[index] ?? []),
    dispose: () => projector.dispose(),
  };
}

async function createDenseWork(backend: ComputeBackend, probes: Probes): Promise<Work> {
  const { rows, columns } = lora;
  const projector = await createProbexProjector(backend, { kind: "dense", layout: "linear" }, probes);
  const matrices = { weight: toMatrix("weight", rows, columns) };
  const layers = Array.from({ length: DISTINCT_PAIRS }, (_, index) => {
    const bytes = multiplyOut(createPair(index));
    return toServerBlocks(bytes, "F32", rows, columns).map((part) => ["weight", part] as const);
  });
  return {
    project: (index) => feed(projector.open(matrices), layers[index] ?? []),
    dispose: () => projector.dispose(),
  };
}

/** B·A as float32. */
function multiplyOut({ up, down }: { readonly up: Uint8Array; readonly down: Uint8Array }): Uint8Array {
  const { rows, columns, rank } = lora;
  const b = new Float32Array(up.buffer);
  const a = new Float32Array(down.buffer);
  const product = new Float32Array(rows * columns);
  const row = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    row.fill(0);
    for (let k = 0; k < rank; k++) {
      const factor = b[i * rank + k] as number;
      for (let j = 0; j < columns; j++) row[j] = (row[j] as number) + factor * (a[k * columns + j] as number);
    }
    product.set(row, i * columns);
  }
  return new Uint8Array(product.buffer);
}

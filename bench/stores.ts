import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeGraph } from "../src/onnx/graph.js";
import { loadOnnxRuntime } from "../src/onnx/load-onnxruntime.js";
import type { Filter } from "../src/vectors/filter.js";
import { fileName } from "../src/vectors/stores/lmdb/prepare-folder.js";
import { openLmdbStore } from "../src/vectors/stores/lmdb.js";
import type { Hit, VectorStore } from "../src/vectors/vector-store.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { withFolder } from "./fixtures.js";
import { readProcessMemory } from "./process-stats.js";
import { median, toMarkdownTable, toMebibytes, toSpread, toVerdict } from "./report.js";
import { createVectorData, type VectorData } from "./vector-data.js";

const mostRatio = 1.25;
const mostOpenSeconds = 3;
const k = 10;
const recordsPerBatch = 1000;
const checkedQueries = 20;
/** Cosines that float32 cannot tell apart. */
const sameCosine = 1e-7;

/** How fast is the embedded store, beside the bare product? */
export const stores: Bench = {
  summary: "the embedded store: loading, opening, searching beside the bare onnxruntime graph, filters",
  options: {
    rows: { help: "records", fallback: "100000" },
    width: { help: "numbers per representation", fallback: "512" },
    rounds: { help: "searches per batch size, interleaved", fallback: "15" },
    folder: { help: "folder of the store, kept; one that holds all records is not loaded again", fallback: "" },
    threads: { help: "threads of arithmetic", fallback: String(availableParallelism()) },
  },
  run: (options) => {
    const kept = options.text("folder");
    return kept === "" ? withFolder((folder) => measure(join(folder, "store"), options)) : measure(kept, options);
  },
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, width, threads] = [options.count("rows"), options.count("width"), options.count("threads")];
  const data = createVectorData(width);
  const empty = await readMemory();
  const loaded = await load(folder, data, rows, threads);
  const opened = await reopen(folder, threads);
  const { store } = opened;
  try {
    const matrix = fillMatrix(data, rows);
    const batches = await compare(store, data, matrix, options);
    console.log(`\n- ${rows} records × ${width}, ${threads} threads of arithmetic, k ${k}`);
    if (loaded.seconds > 0) {
      console.log(`- loaded in batches of ${recordsPerBatch}: ${Math.round(rows / loaded.seconds)} records/s`);
    }
    console.log(`- file: ${toMebibytes((await stat(join(folder, fileName))).size)} MiB`);
    console.log(
      `- memory of the process, without mapped files: ${toMebibytes(empty)} MiB empty, ${toMebibytes(loaded.memory)} while loading, ${toMebibytes(opened.memory)} once open`,
    );
    const isExact = await checkFilters(store, data, matrix, options);
    const ratio = batches.get(64) ?? Number.NaN;
    console.log("");
    console.log(
      toVerdict(ratio <= mostRatio, `64 queries take ${ratio.toFixed(2)} of the bare graph`, `<= ${mostRatio}`),
    );
    const isQuick = opened.seconds < mostOpenSeconds;
    const time = `opened in ${opened.seconds.toFixed(2)} s`;
    // Nothing is promised of larger stores.
    console.log(rows > 100_000 ? `- ${time}` : toVerdict(isQuick, time, `< ${mostOpenSeconds} s`));
    console.log(toVerdict(isExact, isExact ? "all hits are those of float64" : "hits differ", "exact"));
    return ratio <= mostRatio && isExact && (isQuick || rows > 100_000);
  } finally {
    await store.close();
  }
}

async function load(
  folder: string,
  data: VectorData,
  rows: number,
  threads: number,
): Promise<{ readonly seconds: number; readonly memory: number }> {
  const store = await openLmdbStore(folder, { threads });
  let seconds = 0;
  try {
    await store.ensureSpace(data.space);
    const count = (await store.countSpaces())[0]?.count;
    for (let begin = count === rows ? rows : 0; begin < rows; begin += recordsPerBatch) {
      const count = Math.min(recordsPerBatch, rows - begin);
      const records = Array.from({ length: count }, (_, index) => data.record(begin + index));
      const start = performance.now();
      await store.upsert(data.space.spaceId, records);
      seconds += (performance.now() - start) / 1000;
      if ((begin / recordsPerBatch) % 100 === 99) console.error(`${begin + count} records written`);
    }
    return { seconds, memory: await readMemory() };
  } finally {
    await store.close();
  }
}

async function reopen(
  folder: string,
  threads: number,
): Promise<{ readonly store: VectorStore; readonly seconds: number; readonly memory: number }> {
  const start = performance.now();
  const store = await openLmdbStore(folder, { threads });
  const seconds = (performance.now() - start) / 1000;
  return { store, seconds, memory: await readMemory() };
}

/** The same matrix for the bare graph, in one piece. */
function fillMatrix(data: VectorData, rows: number): Float32Array {
  const { width } = data.space;
  const matrix = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) data.fill(row, matrix.subarray(row * width, (row + 1) * width));
  return matrix;
}

/** Searches and bare products by turns; prints a table and gives the ratios of the medians. */
async function compare(
  store: VectorStore,
  { space, fill }: VectorData,
  matrix: Float32Array,
  options: BenchOptions,
): Promise<ReadonlyMap<number, number>> {
  const { width, spaceId } = space;
  const rows = matrix.length / width;
  const runBare = await openBareGraph(matrix, width, options.count("threads"));
  const ratios = new Map<number, number>();
  const table: string[][] = [];
  for (const batch of [1, 8, 64, 256]) {
    const [own, bare]: [Cost[], Cost[]] = [[], []];
    for (let round = -1; round < options.count("rounds"); round++) {
      const vectors = new Float32Array(batch * width);
      for (let query = 0; query < batch; query++) {
        fill(rows + ((round + 1) * batch + query), vectors.subarray(query * width, (query + 1) * width));
      }
      const subjects = [
        async () => own.push(await time(() => store.search(spaceId, { vectors, k }))),
        async () => bare.push(await time(() => runBare(vectors))),
      ];
      // Each round begins with another subject; threads that spin after a product have come to rest before the next.
      for (const measureOne of round % 2 === 0 ? subjects : subjects.reverse()) {
        await measureOne();
        await sleep(20);
      }
      // The first round warms up.
      if (round < 0) own.length = bare.length = 0;
    }
    const toColumns = (costs: readonly Cost[]) => [toSpread(toWall(costs), 1), median(toCpu(costs)).toFixed(1)];
    const ratio = median(toWall(own)) / median(toWall(bare));
    const cpuRatio = median(toCpu(own)) / median(toCpu(bare));
    ratios.set(batch, ratio);
    table.push([String(batch), ...toColumns(own), ...toColumns(bare), ratio.toFixed(2), cpuRatio.toFixed(2)]);
    console.error(`${batch} queries: ${ratio.toFixed(2)}`);
  }
  console.log(
    toMarkdownTable(["queries", "store, ms", "CPU ms", "bare graph, ms", "CPU ms", "ratio", "of CPU"], table),
  );
  return ratios;
}

/** One product with the whole matrix and its best rows, on this thread. */
async function openBareGraph(
  matrix: Float32Array,
  width: number,
  threads: number,
): Promise<(vectors: Float32Array) => Promise<void>> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime("the bench needs onnxruntime-node");
  const graph = encodeGraph({
    name: "bare",
    inputs: [
      { name: "Q", type: "float32", shape: ["queries", width] },
      { name: "M", type: "float32", shape: ["rows", width] },
      { name: "K", type: "int64", shape: [1] },
    ],
    outputs: [
      { name: "V", type: "float32", shape: ["queries", "k"] },
      { name: "I", type: "int64", shape: ["queries", "k"] },
    ],
    constants: [],
    nodes: [
      { op: "Gemm", inputs: ["Q", "M"], outputs: ["S"], attributes: { transB: { int: 1 } } },
      { op: "TopK", inputs: ["S", "K"], outputs: ["V", "I"] },
    ],
  });
  const session = await InferenceSession.create(graph, {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableMemPattern: false,
  });
  const M = new Tensor("float32", matrix, [matrix.length / width, width]);
  const K = new Tensor("int64", BigInt64Array.of(BigInt(k)), [1]);
  return async (vectors) => {
    await session.run({ Q: new Tensor("float32", vectors, [vectors.length / width, width]), M, K });
  };
}

/** Searches under filters, and compares a sample with cosines in float64; prints a table and tells whether all agree. */
async function checkFilters(
  store: VectorStore,
  data: VectorData,
  matrix: Float32Array,
  options: BenchOptions,
): Promise<boolean> {
  const { width, spaceId } = data.space;
  const rows = matrix.length / width;
  const ids = Array.from({ length: rows }, () => ({ id: "", hundredth: 0, tenth: 0 }));
  for (let row = 0; row < rows; row++) {
    const { id, metadata } = data.record(row);
    ids[row] = { id, hundredth: Number(metadata["one_in_100"]), tenth: Number(metadata["one_in_10"]) };
  }
  const cases: readonly { title: string; filter: Filter | undefined; keeps: (row: number) => boolean }[] = [
    { title: "none", filter: undefined, keeps: () => true },
    { title: "10 %", filter: { field: "meta.one_in_10", op: "eq", value: 0 }, keeps: (row) => ids[row]?.tenth === 0 },
    {
      title: "1 %",
      filter: { field: "meta.one_in_100", op: "eq", value: 0 },
      keeps: (row) => ids[row]?.hundredth === 0,
    },
  ];
  const table: string[][] = [];
  let isExact = true;
  for (const { title, filter, keeps } of cases) {
    const kept = Uint32Array.from(Array.from({ length: rows }, (_, row) => row).filter(keeps));
    const query = new Float32Array(width);
    let first = 0;
    for (let index = 0; index < checkedQueries; index++) {
      data.fill(2 * rows + index, query);
      const start = performance.now();
      const [hits = []] = await store.search(spaceId, { vectors: query, k, filter });
      if (index === 0) first = performance.now() - start;
      isExact &&= isSame(hits, nearest(query, matrix, kept), (row) => ids[row]?.id ?? "");
    }
    const times = await timeFiltered(store, data, filter, rows, options);
    table.push([
      title,
      String(kept.length),
      first.toFixed(1),
      ...[times.one, times.many].map((costs) => toSpread(toWall(costs), 1)),
    ]);
  }
  console.log("");
  console.log(toMarkdownTable(["filter", "records", "first use, ms", "1 query, ms", "64 queries, ms"], table));
  return isExact;
}

async function timeFiltered(
  store: VectorStore,
  { space, fill }: VectorData,
  filter: Filter | undefined,
  rows: number,
  options: BenchOptions,
): Promise<{ readonly one: readonly Cost[]; readonly many: readonly Cost[] }> {
  const [one, many]: [Cost[], Cost[]] = [[], []];
  const vectors = new Float32Array(64 * space.width);
  for (let query = 0; query < 64; query++) {
    fill(3 * rows + query, vectors.subarray(query * space.width, (query + 1) * space.width));
  }
  for (let round = 0; round < options.count("rounds"); round++) {
    const single = vectors.subarray(0, space.width);
    one.push(await time(() => store.search(space.spaceId, { vectors: single, k, filter })));
    many.push(await time(() => store.search(space.spaceId, { vectors, k, filter })));
  }
  return { one, many };
}

/** The k nearest of some rows with one more, in float64. */
function nearest(query: Float32Array, matrix: Float32Array, kept: Uint32Array): { row: number; cosine: number }[] {
  const width = query.length;
  const best: { row: number; cosine: number }[] = [];
  for (const row of kept) {
    let [dot, squareA, squareB] = [0, 0, 0];
    for (let i = 0; i < width; i++) {
      const [a, b] = [query[i] as number, matrix[row * width + i] as number];
      dot += a * b;
      squareA += a * a;
      squareB += b * b;
    }
    const cosine = dot / Math.sqrt(squareA * squareB);
    if (best.length > k && cosine <= (best.at(-1)?.cosine ?? -2)) continue;
    best.push({ row, cosine });
    best.sort((a, b) => b.cosine - a.cosine);
    best.length = Math.min(best.length, k + 1);
  }
  return best;
}

/** Whether hits are the nearest rows; two whose cosines float32 cannot tell apart may change places. */
function isSame(
  hits: readonly Hit[],
  expected: readonly { readonly row: number; readonly cosine: number }[],
  idOf: (row: number) => string,
): boolean {
  const cosines = new Map(expected.map(({ row, cosine }) => [idOf(row), cosine]));
  return (
    hits.length === Math.min(k, expected.length) &&
    hits.every(({ id, cosine }, index) => {
      const own = cosines.get(id) ?? Number.NaN;
      const wanted = expected[index]?.cosine ?? Number.NaN;
      return Math.abs(own - wanted) <= sameCosine && Math.abs(cosine - own) <= sameCosine;
    })
  );
}

/** What something took, in milliseconds; processor time is that of all threads of this process. */
interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

async function time(work: () => Promise<unknown>): Promise<Cost> {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wallMs: performance.now() - start, cpuMs: (user + system) / 1000 };
}

function toWall(costs: readonly Cost[]): number[] {
  return costs.map(({ wallMs }) => wallMs);
}

function toCpu(costs: readonly Cost[]): number[] {
  return costs.map(({ cpuMs }) => cpuMs);
}

/** Memory of this process without mapped files, in bytes: the database is mapped, and the system may drop it. */
async function readMemory(): Promise<number> {
  return (await readProcessMemory(process.pid)).anonymousBytes;
}

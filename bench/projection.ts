import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { createGpuBackend } from "../src/compute/backends/gpu.js";
import { createOnnxBackend } from "../src/compute/backends/onnx.js";
import { createPlainBackend } from "../src/compute/backends/plain.js";
import { createWasmBackend } from "../src/compute/backends/wasm.js";
import type { ComputeBackend, Matrix, RowBlock, RunningSum } from "../src/compute/compute-backend.js";
import { createDeviceBackend } from "../src/compute/gpu/device-backend.js";
import { createWebGpuDevice } from "../src/compute/gpu/webgpu-device.js";
import { Random } from "../src/linalg/random.js";
import { createProbexProjector } from "../src/projection/probex-projector.js";
import type { Bench, BenchOptions } from "./bench-options.js";
import { type BenchDtype, createWeights, exactColumns, takeColumns, toServerBlocks } from "./projection-layer.js";
import { median, printVerdicts, relativeError, toMarkdownTable, toSpread, type Verdict } from "./report.js";

const LEAST_WASM_RATE = 8;
const LEAST_SPEEDUP = 1.7;
/** Relative error at most, on a CPU and on a GPU. */
const MOST_ERROR = { cpu: 1e-5, gpu: 1e-4 };
/** Rows of V, as in the authors' experts. */
const PROJECTION_WIDTH = 128;
/** Columns of the result that are reckoned in float64 too. */
const CHECKED_COLUMNS = 2;
const LORA = { rows: 1024, columns: 1024, rank: 8, probeCount: 128, pairs: 64 };

const creators = {
  onnx: createOnnxBackend,
  wasm: () => createWasmBackend(),
  "wasm-2": () => createWasmBackend({ threads: 2 }),
  plain: async () => createPlainBackend(),
  gpu: () => createGpuBackend(),
  // The same device without the process around it: what the pipe costs.
  "gpu-thread": async () => createDeviceBackend(await createWebGpuDevice()),
} as const satisfies Record<string, () => Promise<ComputeBackend>>;

interface Subject {
  readonly name: string;
  readonly backend: ComputeBackend;
}

interface Case {
  readonly rows: number;
  readonly columns: number;
  readonly dtype: BenchDtype;
  readonly probeCount: number;
}

/** Rates of one backend in one case. */
export interface Finding extends Case {
  readonly name: string;
  readonly gigaflops: readonly number[];
  readonly gigabytes: readonly number[];
  readonly error: number;
}

/** What `--json` writes. */
export interface ProjectionReport {
  readonly cpu: string;
  readonly cores: number;
  /** The device that each backend names, by the backend's name here. */
  readonly devices: Readonly<Record<string, string>>;
  readonly findings: readonly Finding[];
}

/** How fast do the compute backends project, and how exactly? */
export const projection: Bench = {
  summary: "arithmetic and weights per second of each compute backend, and its error against float64",
  options: {
    backends: { help: `of ${Object.keys(creators).join(", ")}`, fallback: "onnx,wasm,wasm-2" },
    shapes: { help: "rows x columns of the layers", fallback: "768x768,1280x1280,4096x4096,1024x16384" },
    dtypes: { help: "element types of the weights, of F32, F16, BF16", fallback: "F32,F16,BF16" },
    probes: { help: "probe counts", fallback: "32,128,512" },
    rounds: { help: "measured rounds per case, backends in turns", fallback: "5" },
    json: { help: "file that the findings are written to as well", fallback: "" },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const subjects: Subject[] = [];
  for (const name of options.text("backends").split(",")) {
    const create = new Map<string, () => Promise<ComputeBackend>>(Object.entries(creators)).get(name);
    if (create === undefined)
      throw new Error(`--backends names ${name}; there are ${Object.keys(creators).join(", ")}`);
    subjects.push({ name, backend: await create() });
  }
  console.log(`${cpus()[0]?.model}, ${cpus().length} cores\n`);
  for (const { name, backend } of subjects) console.log(`- ${name}: ${backend.device}`);
  const rounds = options.count("rounds");
  const findings: Finding[] = [];
  for (const one of toCases(options)) findings.push(...(await measureCase(one, subjects, rounds)));
  console.log(`\n${toTable(findings)}\n`);
  console.log(await measureLora(subjects, rounds));
  if (options.text("json") !== "") await writeFile(options.text("json"), JSON.stringify(toReport(subjects, findings)));
  for (const { backend } of subjects) await backend.dispose();
  return judge(findings);
}

function toReport(subjects: readonly Subject[], findings: readonly Finding[]): ProjectionReport {
  return {
    cpu: cpus()[0]?.model ?? "unknown CPU",
    cores: cpus().length,
    devices: Object.fromEntries(subjects.map(({ name, backend }) => [name, backend.device])),
    findings,
  };
}

function toCases(options: BenchOptions): Case[] {
  const dtypes = options.text("dtypes").split(",").map(parseDtype);
  return options
    .text("shapes")
    .split(",")
    .flatMap((shape) => {
      const [rows = Number.NaN, columns = Number.NaN] = shape.split("x").map(Number);
      return dtypes.flatMap((dtype) =>
        options
          .text("probes")
          .split(",")
          .map((count) => ({ rows, columns, dtype, probeCount: Number(count) })),
      );
    });
}

function parseDtype(word: string): BenchDtype {
  if (word === "F32" || word === "F16" || word === "BF16") return word;
  throw new Error(`--dtypes names ${word}; there are F32, F16, BF16`);
}

function createMatrix(rows: number, columns: number, seed: number): Matrix {
  return { rows, columns, values: new Random(seed).spread(rows * columns, 1) };
}

async function measureCase(one: Case, subjects: readonly Subject[], rounds: number): Promise<Finding[]> {
  const { rows, columns, dtype, probeCount } = one;
  const bytes = createWeights(rows * columns, dtype, 1);
  const blocks = toServerBlocks(bytes, dtype, rows, columns);
  const sides = () => ({ left: createMatrix(rows, PROJECTION_WIDTH, 2), right: createMatrix(columns, probeCount, 3) });
  const flops = 2 * rows * probeCount * (columns + PROJECTION_WIDTH);
  const { left, right } = sides();
  const expected = [...exactColumns(left, right, blocks, CHECKED_COLUMNS)];
  const running = await Promise.all(
    subjects.map(async ({ name, backend }) => ({ name, product: await backend.load(sides()), seconds: [0], error: 0 })),
  );
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const subject of running) {
      const sum = subject.product.open({ rows, columns });
      const { seconds, values } = await timeSum(blocks, sum);
      if (round === 0) {
        subject.seconds.pop();
        subject.error = relativeError([...takeColumns(values, probeCount, CHECKED_COLUMNS)], expected);
      } else subject.seconds.push(seconds);
      await sum.dispose();
    }
  }
  for (const { product } of running) await product.dispose();
  return running.map(({ name, seconds, error }) => ({
    ...one,
    name,
    gigaflops: seconds.map((each) => flops / each / 1e9),
    gigabytes: seconds.map((each) => bytes.byteLength / each / 1e9),
    error,
  }));
}

/** The clock stops when the sum has been read: a GPU is still multiplying when it has taken the last block in. */
async function timeSum(
  blocks: readonly RowBlock[],
  sum: RunningSum,
): Promise<{ readonly seconds: number; readonly values: Float32Array }> {
  const begin = performance.now();
  for (const block of blocks) await sum.add(block);
  const values = await sum.read();
  return { seconds: (performance.now() - begin) / 1000, values };
}

function toTable(findings: readonly Finding[]): string {
  return toMarkdownTable(
    ["layer", "dtype", "probes", "backend", "GFLOP/s", "GB/s of weights", "error"],
    findings.map(({ rows, columns, dtype, probeCount, name, gigaflops, gigabytes, error }) => [
      `${rows} × ${columns}`,
      dtype,
      String(probeCount),
      name,
      toSpread(gigaflops, 1),
      median(gigabytes).toFixed(2),
      error.toExponential(1),
    ]),
  );
}

/** Pairs per second, each opened, added and finished before the next, or 64 of them open at once. */
async function measureLora(subjects: readonly Subject[], rounds: number): Promise<string> {
  const { rows, columns, rank, probeCount, pairs } = LORA;
  const matrix = (name: string, rowCount: number, columnCount: number) => ({
    name,
    dtype: "F32" as const,
    firstRow: 0,
    rowCount,
    columnCount,
    columns: { begin: 0, end: columnCount },
  });
  const matrices = { "lora-up": matrix("up", rows, rank), "lora-down": matrix("down", rank, columns) };
  const block = (rowCount: number, columnCount: number): RowBlock => ({
    bytes: createWeights(rowCount * columnCount, "F32", 4),
    dtype: "F32",
    rowBegin: 0,
    rowCount,
    columnCount,
  });
  const blocks = { "lora-up": block(rows, rank), "lora-down": block(rank, columns) };
  const lines: string[][] = [];
  for (const { name, backend } of subjects) {
    const probes = { u: createMatrix(columns, probeCount, 5), v: createMatrix(PROJECTION_WIDTH, rows, 6) };
    const projector = await createProbexProjector(backend, { kind: "lora", layout: "linear" }, probes);
    const rates = { 1: [0], [pairs]: [0] };
    for (let round = 0; round <= rounds; round++) {
      for (const [atOnce, found] of Object.entries(rates)) {
        const begin = performance.now();
        for (let done = 0; done < pairs; done += Number(atOnce)) {
          const open = Array.from({ length: Number(atOnce) }, () => projector.open(matrices));
          for (const role of ["lora-up", "lora-down"] as const) {
            for (const accumulator of open) await accumulator.add(role, blocks[role]);
          }
          for (const accumulator of open) {
            await accumulator.finish();
            await accumulator.dispose();
          }
        }
        if (round === 0) found.pop();
        else found.push((1000 * pairs) / (performance.now() - begin));
      }
    }
    await projector.dispose();
    lines.push([name, ...Object.values(rates).map((found) => toSpread(found, 0))]);
  }
  const head = [
    `LoRA pairs/s, rank ${rank} of ${rows} × ${columns}, ${probeCount} probes`,
    "one by one",
    `${pairs} open`,
  ];
  return toMarkdownTable(head, lines);
}

/** Prints whether the backends keep what is promised of them, as far as it was measured. */
function judge(findings: readonly Finding[]): boolean {
  const verdicts: Verdict[] = [];
  for (const [kind, bound] of Object.entries(MOST_ERROR)) {
    const errors = findings.filter(({ name }) => name.startsWith("gpu") === (kind === "gpu")).map(({ error }) => error);
    if (errors.length === 0) continue;
    const most = Math.max(...errors);
    verdicts.push([
      most <= bound,
      `largest error on ${kind.toUpperCase()} ${most.toExponential(1)}`,
      `at most ${bound}`,
    ]);
  }
  const alone = findings.filter(({ name }) => name === "wasm");
  if (alone.length > 0) {
    const least = Math.min(...alone.map(({ gigaflops }) => median(gigaflops)));
    verdicts.push([least >= LEAST_WASM_RATE, `wasm ${least.toFixed(1)} GFLOP/s at least`, `${LEAST_WASM_RATE}`]);
  }
  const large = ({ rows, columns }: Case): boolean => rows * columns >= 4096 ** 2;
  const ratios = alone.filter(large).flatMap((one) => {
    const two = findings.find(
      (other) =>
        other.name === "wasm-2" &&
        (["rows", "columns", "dtype", "probeCount"] as const).every((key) => other[key] === one[key]),
    );
    return two === undefined ? [] : [median(two.gigaflops) / median(one.gigaflops)];
  });
  if (ratios.length > 0) {
    const ratio = median(ratios);
    verdicts.push([
      ratio >= LEAST_SPEEDUP,
      `two threads ${ratio.toFixed(2)} times one on large layers`,
      `${LEAST_SPEEDUP}`,
    ]);
  }
  console.log("");
  return printVerdicts(verdicts);
}

import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Bench, BenchOptions } from "./bench-options.js";
import { startChild } from "./child-process.js";
import { readProcessMemory } from "./process-stats.js";
import { mean, printVerdicts, toMarkdownTable, toMebibytes, type Verdict } from "./report.js";
import type { SoakLine } from "./soak-child.js";

const COLUMNS = 4096;
/** Rows of one upload at most: 1 GiB. */
const MOST_ROWS = 65_536;
const MOST_SLOPE = 1;
/** What resident memory moves by without a leak, between two collections of a worker's garbage: measured 2 to 4 MiB. */
const NOISE_MEBIBYTES = 4;

/**
 * Workers and the GPU's process collect garbage by themselves, whatever the main thread asks for. With heaps as large as
 * Node lets them grow, some 90 MiB come and go over tens of GB, which hides a slope; in small ones, little.
 */
const SMALL_HEAPS = ["--max-semi-space-size=1", "--max-old-space-size=40"];

const program = fileURLToPath(new URL("./soak-child.js", import.meta.url));

/** What a process and its children held at one time. */
interface Sample {
  readonly seconds: number;
  readonly gigabytes: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

/** Does a backend's memory grow with what it has projected? */
export const soak: Bench = {
  summary: "memory and descriptors of a backend in a worker thread over many uploads of 1 GiB in a row",
  options: {
    backend: { help: "backend by name", fallback: "onnx" },
    gigabytes: { help: "10^9 bytes of weights", fallback: "20" },
    probes: {
      help: "probes of the expert; with fewer, a slow backend takes in more in the same time",
      fallback: "128",
    },
    device: { help: "what the device's name must begin with", fallback: "" },
  },
  run: measure,
};

async function measure(options: BenchOptions): Promise<boolean> {
  const backend = options.text("backend");
  const rowsInAll = Math.ceil((options.number("gigabytes") * 1e9) / (COLUMNS * 4));
  const rows = Math.max(1, Math.min(MOST_ROWS, rowsInAll));
  const uploads = Math.max(1, Math.ceil(rowsInAll / rows));
  const args = [...SMALL_HEAPS, program, backend, rows, COLUMNS, uploads, options.count("probes")].map(String);
  const child = await startChild({ program: process.execPath, args });
  const samples: Sample[] = [];
  const begin = performance.now();
  let device = "";
  for await (const line of child.lines) {
    const found: SoakLine = JSON.parse(line);
    device = found.device;
    // After its last line the child ends, and a process that ended has nothing in /proc.
    const held = await readTree(child.pid).catch(() => undefined);
    if (held === undefined) continue;
    samples.push({ seconds: (performance.now() - begin) / 1000, gigabytes: found.bytes / 1e9, ...held });
  }
  const code = await child.ended;
  if (code !== 0) throw new Error(`the soak of ${backend} ended with ${code}: ${child.errorText()}`);
  const wanted = options.text("device");
  if (!device.startsWith(wanted)) throw new Error(`${device} ran; --device wants ${wanted}`);
  return report(backend, device, samples);
}

function report(backend: string, device: string, samples: readonly Sample[]): boolean {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || samples.length < 4) {
    throw new Error(`${samples.length} samples are too few; give --gigabytes more`);
  }
  const secondHalf = samples.filter(({ gigabytes }) => gigabytes >= last.gigabytes / 2);
  const half = secondHalf[0] ?? last;
  const slope = toSlope(secondHalf.map(({ gigabytes, residentBytes }) => [gigabytes, residentBytes / 1024 ** 2]));
  const growth = slope * (last.gigabytes - half.gigabytes);
  const rate = (last.gigabytes - first.gigabytes) / (last.seconds - first.seconds);
  console.log(`${backend}: ${device}\n`);
  console.log(
    toMarkdownTable(
      ["", "GB", "resident MiB", "descriptors"],
      Object.entries({ start: first, half, end: last }).map(([name, one]) => [
        name,
        one.gigabytes.toFixed(2),
        toMebibytes(one.residentBytes),
        String(one.descriptors),
      ]),
    ),
  );
  console.log(`\n- ${rate.toFixed(3)} GB/s, ${samples.length} samples`);
  console.log(`- over the second half ${growth.toFixed(1)} MiB, ${slope.toFixed(2)} MiB/GB by least squares`);
  const verdicts: Verdict[] = [
    [
      slope < MOST_SLOPE,
      `memory grows by ${slope.toFixed(2)} MiB/GB over the second half, ${growth.toFixed(1)} MiB`,
      `below ${MOST_SLOPE} MiB/GB`,
    ],
    [
      last.descriptors <= half.descriptors,
      `${half.descriptors} descriptors at half, ${last.descriptors} at the end`,
      "no growth",
    ],
  ];
  const areMet = printVerdicts(verdicts);
  if (slope >= MOST_SLOPE && growth < NOISE_MEBIBYTES) {
    console.log(`- the run is short: ${growth.toFixed(1)} MiB may be one collection of garbage; give --gigabytes more`);
  }
  return areMet;
}

/** Slope of the line that fits the points best. */
function toSlope(points: readonly (readonly [number, number])[]): number {
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (spread === 0) throw new Error("the second half has only one sample; give --gigabytes more");
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
}

/** What a process and its descendants hold; `gpu` computes in a process of its own. */
async function readTree(pid: number): Promise<{ residentBytes: number; descriptors: number }> {
  let { residentBytes } = await readProcessMemory(pid);
  let descriptors = (await readdir(`/proc/${pid}/fd`)).length;
  for (const child of await readChildren(pid)) {
    const held = await readTree(child);
    residentBytes += held.residentBytes;
    descriptors += held.descriptors;
  }
  return { residentBytes, descriptors };
}

/** A process that a thread forked is listed under that thread. */
async function readChildren(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")),
  );
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}

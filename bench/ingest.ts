import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench, BenchOptions } from "./bench-options.js";
import type { Command } from "./child-process.js";
import { withFolder, writeExpert } from "./fixtures.js";
import { type LoadResult, numpyServerCommand, runLoad, warmUp } from "./load-client.js";
import { readProcessCpu } from "./process-stats.js";
import { median, printVerdicts, relativeError, toMarkdownTable, toSpread } from "./report.js";
import { type RunningServer, serveCommand, startServer } from "./start-server.js";

interface Subject {
  readonly title: string;
  readonly server: RunningServer;
  readonly runs: Run[];
}

interface Run extends LoadResult {
  readonly serverCpuPerGigabyte: number;
  readonly mainThreadCpuPerGigabyte: number;
}

const WARM_UP_BYTES = 128 * 1024 ** 2;
const LEAST_RATIO = 0.75;
const MOST_MAIN_THREAD_CPU = 2.3;

/** Does the projection hide behind the transport? Three servers under one load, in turn. */
export const ingest: Bench = {
  summary: "rate with projection, without it, and of a Python server with numpy",
  options: {
    rows: { help: "rows of the layer; 131072 x 4096 float32 are 2 GiB", fallback: "131072" },
    columns: { help: "columns of the layer", fallback: "4096" },
    rounds: { help: "uploads per server, interleaved", fallback: "5" },
    dtype: { help: "F32, F16 or BF16", fallback: "F32" },
    "numpy-threads": { help: "BLAS threads of the Python server, 1 or 2", fallback: "1" },
  },
  run: (options) => withFolder((folder) => measure(folder, options)),
};

async function measure(folder: string, options: BenchOptions): Promise<boolean> {
  const [rows, columns, threads] = [options.count("rows"), options.count("columns"), options.count("numpy-threads")];
  const dtype = toDtype(options.text("dtype"));
  await writeExpert(join(folder, "bench"), { rows, columns });
  const commands: readonly (readonly [string, Command])[] = [
    ["probestream", serveCommand({ experts: folder })],
    ["probestream, projection discarded", discardCommand(folder)],
    [`grpcio + numpy, ${threads} BLAS thread(s)`, numpyServerCommand(join(folder, "bench"), threads)],
  ];
  const subjects: Subject[] = [];
  try {
    for (const [title, command] of commands) {
      const server = await startServer(command);
      console.error(`${title}: ${server.banner}`);
      subjects.push({ title, server, runs: [] });
      await warmUp({ target: server.target, rows, columns, dtype }, WARM_UP_BYTES);
    }
    const rounds = options.count("rounds");
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < subjects.length; turn++) {
        // Each round begins with another server, so that none always follows the same one.
        const subject = subjects[(round + turn) % subjects.length];
        if (subject === undefined) throw new Error("no server");
        const run = await measureRun(subject.server, { rows, columns, dtype });
        subject.runs.push(run);
        console.error(`round ${round + 1}: ${subject.title}: ${run.megabytesPerSecond} MB/s`);
      }
    }
    return report(subjects, rows * columns);
  } finally {
    await Promise.all(subjects.map(({ server }) => server.stop()));
  }
}

async function measureRun(
  server: RunningServer,
  load: { rows: number; columns: number; dtype: "F32" | "F16" | "BF16" },
): Promise<Run> {
  const before = await readProcessCpu(server.pid);
  const result = await runLoad({ target: server.target, ...load });
  const after = await readProcessCpu(server.pid);
  const gigabytes = result.bytes / 1e9;
  return {
    ...result,
    serverCpuPerGigabyte: (after.totalSeconds - before.totalSeconds) / gigabytes,
    mainThreadCpuPerGigabyte: (after.mainThreadSeconds - before.mainThreadSeconds) / gigabytes,
  };
}

function report(subjects: readonly Subject[], elementCount: number): boolean {
  const [projecting, discarding, numpy] = subjects;
  if (projecting === undefined || discarding === undefined || numpy === undefined) throw new Error("three servers");
  const rows = subjects.map(({ title, runs }) => [
    title,
    toSpread(
      runs.map((run) => run.megabytesPerSecond),
      0,
    ),
    // The main thread of the Python server only waits.
    title.startsWith("grpcio") ? "–" : median(runs.map((run) => run.mainThreadCpuPerGigabyte)).toFixed(2),
    median(runs.map((run) => run.serverCpuPerGigabyte)).toFixed(2),
    median(runs.map((run) => run.clientCpuPerGigabyte)).toFixed(2),
  ]);
  const head = ["server", "MB/s", "main thread CPU s/GB", "server CPU s/GB", "client CPU s/GB"];
  console.log(toMarkdownTable(head, rows));
  const rate = (subject: Subject): number => median(subject.runs.map((run) => run.megabytesPerSecond));
  const ratio = rate(projecting) / rate(discarding);
  const cpu = median(projecting.runs.map((run) => run.mainThreadCpuPerGigabyte));
  const error = relativeError(representationOf(projecting), representationOf(numpy));
  console.log("");
  console.log(`- ${elementCount} numbers per layer; rates are medians with their range, CPU figures medians`);
  console.log(`- with projection to the Python server: ${(rate(projecting) / rate(numpy)).toFixed(2)}`);
  return printVerdicts([
    [ratio >= LEAST_RATIO, `with projection to without: ${ratio.toFixed(3)}`, `>= ${LEAST_RATIO}`],
    [cpu <= MOST_MAIN_THREAD_CPU, `main thread ${cpu.toFixed(2)} s/GB`, `<= ${MOST_MAIN_THREAD_CPU}`],
    [error <= 1e-5, `representation beside numpy's: ${error.toExponential(1)}`, "<= 1e-5 relative"],
  ]);
}

function representationOf(subject: Subject): readonly number[] {
  return subject.runs[0]?.representation ?? [];
}

function discardCommand(experts: string): Command {
  const script = fileURLToPath(new URL("discard-server.js", import.meta.url));
  return { program: process.execPath, args: [script, "--experts", experts] };
}

function toDtype(text: string): "F32" | "F16" | "BF16" {
  if (text === "F32" || text === "F16" || text === "BF16") return text;
  throw new Error(`--dtype is ${text}; it must be F32, F16 or BF16`);
}

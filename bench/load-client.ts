import { join } from "node:path";
import { type Command, runChild } from "./child-process.js";
import { repositoryRoot } from "./repository-root.js";

/** What `python/load_client.py` is to stream. */
export interface Load {
  readonly target: string;
  readonly rows: number;
  readonly columns: number;
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Further arguments. */
  readonly extra?: readonly string[];
}

/** What it measured of one upload. */
export interface LoadResult {
  readonly bytes: number;
  readonly seconds: number;
  /** 10⁶ bytes per second. */
  readonly megabytesPerSecond: number;
  /** Processor time of the client per 10⁹ bytes. */
  readonly clientCpuPerGigabyte: number;
  readonly representation: readonly number[];
}

/** Debian's interpreter, which has Debian's grpcio. */
const PYTHON = process.env["BENCH_PYTHON"] ?? "/usr/bin/python3";

/** Streams a layer once, from a process of its own. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const [line] = await runChild(loadCommand({ ...load, extra: ["--values", "1024", ...(load.extra ?? [])] }));
  return toLoadResult(JSON.parse(line ?? "null"));
}

/** Streams the first `bytes` of a layer and no footer: loads the expert and warms the server up. */
export async function warmUp(load: Load, bytes: number): Promise<void> {
  await runChild(loadCommand({ ...load, extra: ["--stop-after", String(bytes), ...(load.extra ?? [])] }));
}

/** The server that does the same in Python, over an expert folder. */
export function numpyServerCommand(expert: string, threads: number): Command {
  return {
    program: PYTHON,
    args: [join(repositoryRoot, "bench/python/numpy_server.py"), "--expert", expert, "--threads", String(threads)],
  };
}

function loadCommand({ target, rows, columns, dtype = "F32", extra = [] }: Load): Command {
  const script = join(repositoryRoot, "bench/python/load_client.py");
  const size = ["--rows", String(rows), "--columns", String(columns), "--dtype", dtype];
  return { program: PYTHON, args: [script, "--target", target, ...size, ...extra] };
}

function toLoadResult(value: unknown): LoadResult {
  const fields = new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : []);
  const number = (name: string): number => {
    const field = fields.get(name);
    if (typeof field !== "number") throw new Error(`load_client.py printed no ${name}`);
    return field;
  };
  const representation = fields.get("representation");
  if (!Array.isArray(representation)) throw new Error("load_client.py printed no representation");
  return {
    bytes: number("bytes"),
    seconds: number("seconds"),
    megabytesPerSecond: number("mb_per_s"),
    clientCpuPerGigabyte: number("client_cpu_s_per_gb"),
    representation: representation.map(Number),
  };
}

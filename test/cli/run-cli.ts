import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mainScript } from "../../bench/repository-root.js";
import { makeExample } from "../../scripts/example.js";
import { createPermits } from "../../src/search/embed-files-permits.js";

/** How the command line ended, and what it wrote. */
export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and with what a command runs. */
export interface CliOptions {
  readonly cwd?: string;
  /** Besides PATH. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Names a backend where it does not matter: measuring them all at start takes half of the time of a short command. */
export const oneBackend: readonly string[] = ["--backend", "wasm"];

/** Tests of a thread run at once; their processes do so two at a time, or each would wait for all the others. */
const permits = createPermits(2, new AbortController().signal);

/** Runs the built command line in a process of its own, as a user would. */
export async function runCli(words: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const release = await permits.acquire(1);
  try {
    return await runOne(words, options);
  } finally {
    release();
  }
}

async function runOne(words: readonly string[], options: CliOptions): Promise<CliResult> {
  const child = spawn(process.execPath, [mainScript, ...words], {
    cwd: options.cwd,
    env: { PATH: process.env["PATH"], ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

/** Lines of JSON. */
export function parseLines<T>(text: string): T[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line): T => JSON.parse(line));
}

/** Makes the example in a temporary folder, which the caller removes: `experts/`, `models/`, `texts.safetensors`. */
export async function makeExampleFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "probestream-cli-"));
  await makeExample(folder);
  return folder;
}

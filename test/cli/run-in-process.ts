import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWords } from "../../src/cli/command-line.js";
import { defaultAddress, type Environment } from "../../src/cli/environment.js";
import { Interruption } from "../../src/cli/interrupt.js";
import type { CliResult } from "./run-cli.js";

/** Where commands of this process keep probes; whoever uses it removes it. */
export const probesFolder = join(tmpdir(), `probestream-probes-${process.pid}`);

/** What a command in this process is given besides its words. */
export interface InProcessOptions {
  /** What the environment says; by default what it says where nothing is set. */
  readonly environment?: Partial<Environment>;
  /** Hears of each line of remarks. */
  readonly onRemark?: (line: string) => void;
}

/**
 * Runs a command in this process, which saves the second that another one takes to load; paths must be absolute.
 *
 * @param controller stands for Ctrl-C. @param onPrint hears of each line of results.
 */
export async function runInProcess(
  words: readonly string[],
  controller: AbortController = new AbortController(),
  onPrint: (line: string) => void = () => {},
  options: InProcessOptions = {},
): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const terminal = {
    print: async (line: string) => {
      stdout += `${line}\n`;
      onPrint(line);
    },
    remark: (line: string) => {
      stderr += `${line}\n`;
      options.onRemark?.(line);
    },
    showStatus: () => {},
    // Progress goes there, and not between the remarks.
    hasStatus: true,
    columns: 80,
  };
  const hub = { endpoint: undefined, cacheFolder: "/nowhere", isOffline: true };
  const tokens = { serverToken: undefined, hubToken: undefined };
  const environment = { server: defaultAddress, ...tokens, hub, probesFolder, useColor: false, ...options.environment };
  const code = await runWords(words, { terminal, environment, signal: controller.signal });
  return { code, stdout, stderr };
}

/** What {@link runInProcess} takes besides the words. */
type ParametersBesidesWords = Parameters<typeof runInProcess> extends [unknown, ...infer More] ? More : never;

/**
 * Runs a command in this process as one whose working directory is a folder: words that begin with ./ or @./ are below it, and
 * what is printed shows its paths without it.
 *
 * @param more what {@link runInProcess} takes besides the words.
 */
export async function runInFolder(
  folder: string,
  words: readonly string[],
  ...more: ParametersBesidesWords
): Promise<CliResult> {
  const placed = words.map((word) => word.replace(/^(@?)\.\//, `$1${folder}/`));
  const { code, stdout, stderr } = await runInProcess(placed, ...more);
  const shorten = (text: string): string => text.replaceAll(`${folder}/`, "");
  return { code, stdout: shorten(stdout), stderr: shorten(stderr) };
}

/** A server in this process. */
export interface ServedInProcess {
  /** `127.0.0.1:PORT`. */
  readonly target: string;
  /** Its remarks so far. */
  readonly remarks: readonly string[];
  /** Ends it as Ctrl-C does, and waits for that. */
  stop(): Promise<void>;
}

/** Runs `serve` on a free port, with further words; {@link runInProcess} says why here. */
export async function serveInProcess(words: readonly string[]): Promise<ServedInProcess> {
  const controller = new AbortController();
  const remarks: string[] = [];
  let hear: (line: string) => void = () => {};
  const banner = new Promise<string>((resolve) => {
    hear = resolve;
  });
  const onRemark = (line: string) => void remarks.push(line);
  const ended = runInProcess(["serve", "--listen", "127.0.0.1:0", ...words], controller, hear, { onRemark });
  const tooEarly = ended.then(({ stderr }): never => {
    throw new Error(`the server ended before it listened: ${stderr}`);
  });
  const port = /^listening on \S+:(\d+) /.exec(await Promise.race([banner, tooEarly]))?.[1];
  const stop = async (): Promise<void> => {
    controller.abort(new Interruption("SIGINT"));
    await ended;
  };
  return { target: `127.0.0.1:${port}`, remarks, stop };
}

import { tmpdir } from "node:os";
import { join } from "node:path";
import { runWords } from "../../src/cli/command-line.js";
import { defaultAddress } from "../../src/cli/environment.js";
import type { CliResult } from "./run-cli.js";

/** Where commands of this process keep probes; whoever uses it removes it. */
export const probesFolder = join(tmpdir(), `probestream-probes-${process.pid}`);

/**
 * Runs a command in this process, which saves the second that another one takes to load; paths must be absolute.
 *
 * @param controller stands for Ctrl-C. @param onPrint hears of each line of results.
 */
export async function runInProcess(
  words: readonly string[],
  controller: AbortController = new AbortController(),
  onPrint: (line: string) => void = () => {},
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
    },
    showStatus: () => {},
    // Progress goes there, and not between the remarks.
    hasStatus: true,
    columns: 80,
  };
  const hub = { endpoint: undefined, cacheFolder: "/nowhere", isOffline: true };
  const tokens = { serverToken: undefined, hubToken: undefined };
  const environment = { server: defaultAddress, ...tokens, hub, probesFolder, useColor: false };
  const code = await runWords(words, { terminal, environment, signal: controller.signal });
  return { code, stdout, stderr };
}

/**
 * Runs a command in this process as one whose working directory is a folder: words that begin with ./ or @./ are below it, and
 * what is printed shows its paths without it.
 */
export async function runInFolder(folder: string, words: readonly string[]): Promise<CliResult> {
  const placed = words.map((word) => word.replace(/^(@?)\.\//, `$1${folder}/`));
  const { code, stdout, stderr } = await runInProcess(placed);
  const shorten = (text: string): string => text.replaceAll(`${folder}/`, "");
  return { code, stdout: shorten(stdout), stderr: shorten(stderr) };
}

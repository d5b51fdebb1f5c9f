import { runWords } from "../../src/cli/command-line.js";
import { defaultAddress } from "../../src/cli/environment.js";
import type { CliResult } from "./run-cli.js";

/**
 * Runs a command in this process, which saves the second that another one takes to load; paths must be absolute.
 *
 * @param signal stands for Ctrl-C.
 */
export async function runInProcess(
  words: readonly string[],
  signal: AbortSignal = new AbortController().signal,
): Promise<CliResult> {
  let stdout = "";
  let stderr = "";
  const terminal = {
    print: async (line: string) => {
      stdout += `${line}\n`;
    },
    remark: (line: string) => {
      stderr += `${line}\n`;
    },
    showStatus: () => {},
    hasStatus: false,
    columns: 80,
  };
  const environment = { server: defaultAddress, hubToken: undefined, useColor: false };
  const code = await runWords(words, { terminal, environment, signal });
  return { code, stdout, stderr };
}

import { CommanderError } from "commander";
import type { CommandContext } from "./command-context.js";
import { readEnvironment } from "./environment.js";
import { exitCodes, toExitCode } from "./exit-codes.js";
import { abortOnInterrupt, abortOnParentsWord, Interruption } from "./interrupt.js";
import { isServerProcess } from "./processes.js";
import { createProgram } from "./program.js";
import { toStackLines } from "./stack-text.js";
import { toPlain } from "./table.js";
import { openTerminal } from "./terminal.js";

/** The output's reader has gone: there is nobody to tell. */
class OutputClosed extends Error {}

/** Runs the command line of this process and returns the exit code. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const terminal = openTerminal(() => controller.abort(new OutputClosed()));
  const release = isServerProcess ? abortOnParentsWord(controller) : abortOnInterrupt(controller);
  try {
    return await runWords(words, { terminal, environment: readEnvironment(), signal: controller.signal });
  } finally {
    release();
  }
}

/** Runs a command and returns its exit code; what goes wrong is told, and not thrown. */
export async function runWords(
  words: readonly string[],
  context: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<number> {
  const { terminal, environment, signal } = context;
  // Valid before and after the command's name, so it is taken out before commander looks.
  const isDebug = words.includes("--debug");
  let exitCode: number = exitCodes.success;
  const exit = (code: number): void => {
    exitCode = code;
  };
  try {
    const own = words.filter((word) => word !== "--debug");
    const program = await createProgram({ ...context, isDebug, exit }, own);
    await program.parseAsync(own, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.success;
    if (signal.reason instanceof OutputClosed) return exitCodes.success;
    const prefix = environment.useColor ? "\u001b[31mprobestream:\u001b[39m" : "probestream:";
    terminal.remark(`${prefix} ${toMessage(signal.aborted ? signal.reason : error)}`);
    if (isDebug) for (const line of toStackLines(error)) terminal.remark(line);
    if (signal.reason instanceof Interruption) return signal.reason.exitCode;
    return error instanceof CommanderError ? exitCodes.usage : toExitCode(error);
  }
}

function toMessage(error: unknown): string {
  if (error instanceof CommanderError && error.code === "commander.help") return "name a command, see above";
  const message = error instanceof Error ? error.message : String(error);
  return toPlain(message.replace(/^error: /, "").replace(/\s*\n\s*/g, " "));
}

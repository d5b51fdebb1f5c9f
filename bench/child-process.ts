import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** A program with its arguments. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** A child whose output is read line by line. */
export interface Child {
  readonly pid: number;
  /** Lines of its standard output, as they come. Must be read to the end, or the child may block. */
  readonly lines: AsyncIterable<string>;
  /** Settles when it has ended: its exit code, or null if a signal ended it. */
  readonly ended: Promise<number | null>;
  /** The last 4 KiB of its standard error. */
  errorText(): string;
  signal(name: NodeJS.Signals): void;
}

const ERROR_TEXT_LENGTH = 4096;
const running = new Set<ChildProcessByStdio<null, Readable, Readable>>();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a child. It ends with this process at the latest. */
export async function startChild({ program, args }: Command): Promise<Child> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let errorText = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errorText = (errorText + text).slice(-ERROR_TEXT_LENGTH);
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  await once(child, "spawn");
  if (child.pid === undefined) throw new Error(`${program} has no process id`);
  return {
    pid: child.pid,
    lines: createInterface({ input: child.stdout }),
    ended,
    errorText: () => errorText.trim(),
    signal: (name) => child.kill(name),
  };
}

/** Runs a child to its end and returns its lines. Throws if it fails. */
export async function runChild(command: Command): Promise<string[]> {
  const child = await startChild(command);
  const lines: string[] = [];
  for await (const line of child.lines) lines.push(line);
  const code = await child.ended;
  if (code !== 0)
    throw new Error(`${command.program} ${command.args.join(" ")} ended with ${code}: ${child.errorText()}`);
  return lines;
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { repositoryRoot } from "../../bench/repository-root.js";
import type { DriverOutcome, Json } from "./conformance-case.js";

/** A driver of one language. */
export interface DriverCommand {
  readonly language: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** A driver that runs. */
export interface Driver {
  readonly language: string;
  /** Runs one case. Throws if the driver breaks off or takes too long; the next case starts it anew. */
  run(request: Json): Promise<DriverOutcome>;
  /** Why it cannot run here, once it has said so. */
  readonly missing: string | undefined;
  stop(): Promise<void>;
}

/** Exit code of a driver that cannot run on this machine. */
const cannotRun = 77;

/** Longest time for one case, in milliseconds. */
const caseMs = 120_000;

/** Longest time for a driver's first case, in milliseconds: it may build itself, with all of gRPC, on a busy machine. */
const firstCaseMs = 900_000;

const clients = join(repositoryRoot, "clients");

/** All drivers, in the order of the matrix. */
export const driverCommands: readonly DriverCommand[] = [
  {
    language: "typescript",
    program: process.execPath,
    args: [fileURLToPath(new URL("./typescript-driver.js", import.meta.url))],
  },
  // Debian's interpreter, which has Debian's grpcio; another may come first in PATH.
  { language: "python", program: "/usr/bin/python3", args: [join(clients, "python/conformance/driver.py")] },
  { language: "go", program: join(clients, "go/conformance/run"), args: [] },
];

/** Whether there is such a driver in this checkout. */
export function hasDriver({ program, args }: DriverCommand): boolean {
  return existsSync(args[0] ?? program) && existsSync(program);
}

/** Sets a driver up; its process starts with the first case. */
export function createDriver({ language, program, args }: DriverCommand): Driver {
  let child: ChildProcess | undefined;
  let lines: AsyncIterator<string> | undefined;
  let errorText = "";
  let missing: string | undefined;
  let hasAnswered = false;

  const start = (): { readonly child: ChildProcess; readonly lines: AsyncIterator<string> } => {
    if (child !== undefined && lines !== undefined && child.exitCode === null && child.signalCode === null) {
      return { child, lines };
    }
    errorText = "";
    const started = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    started.stderr.setEncoding("utf8").on("data", (text: string) => {
      errorText = (errorText + text).slice(-4096);
    });
    started.on("error", (error) => {
      errorText += error.message;
    });
    // What is written to a driver that has ended shows as the end of its output.
    started.stdin.on("error", () => {});
    child = started;
    lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
    return { child: started, lines };
  };

  return {
    language,
    get missing() {
      return missing;
    },
    run: async (request) => {
      const running = start();
      running.child.stdin?.write(`${JSON.stringify(request)}\n`);
      const timer = setTimeout(() => running.child.kill("SIGKILL"), hasAnswered ? caseMs : firstCaseMs);
      try {
        const { value, done } = await running.lines.next();
        hasAnswered ||= done !== true;
        if (done !== true) return JSON.parse(value) as DriverOutcome;
      } finally {
        clearTimeout(timer);
      }
      if (running.child.exitCode === null && running.child.signalCode === null) await once(running.child, "close");
      child = undefined;
      if (running.child.exitCode === cannotRun) {
        missing = errorText.trim().split("\n").at(-1) ?? "it does not say why";
        return { unsupported: missing };
      }
      throw new Error(`the driver broke off: ${errorText.trim()}`);
    },
    stop: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "close");
      child.stdin?.end();
      const timer = setTimeout(() => child?.kill("SIGKILL"), 5000);
      await closed;
      clearTimeout(timer);
    },
  };
}

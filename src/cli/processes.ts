import cluster, { type Worker } from "node:cluster";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TokenFile } from "../rpc/tokens/open-token-file.js";
import type { BackendChoice } from "../search/choose-backends.js";
import { toProcessEnvironment } from "./environment.js";
import { CommandError, exitCodes } from "./exit-codes.js";
import type { Address } from "./option-values.js";
import { toTokensMessage } from "./process-tokens.js";
import type { Terminal } from "./terminal.js";

/** What a server process tells the one that started it. */
export type ProcessMessage =
  | { readonly type: "tokens-wanted" }
  | { readonly type: "listening"; readonly description: string }
  | { readonly type: "failed"; readonly message: string; readonly exitCode: number };

/** How server processes are started. */
export interface ProcessesOptions {
  readonly count: number;
  readonly listen: Address;
  /** Shared by all, so that an upload may go on in another process; absent for a temporary folder. */
  readonly stateDir: string | undefined;
  /** The backends that all use; absent where one was named. */
  readonly choice: BackendChoice | undefined;
  /** Those that calls need; the processes get them from here. */
  readonly tokens: TokenFile | undefined;
  readonly terminal: Terminal;
  /** Ends them all in order. */
  readonly signal: AbortSignal;
  /** How long they may take for it, in milliseconds. */
  readonly stopMs: number;
  /** Once all listen, with what the first says of itself. */
  readonly onListening: (address: Address, description: string) => Promise<void>;
}

/** A process that dies so soon after its start, in milliseconds, would do so again. */
const leastLifeMs = 5000;

/** Pause before a process is started again, in milliseconds. */
const restartPauseMs = 200;

/** Whether this process was started by {@link runProcesses}. */
export const isServerProcess: boolean = cluster.isWorker;

/** Tells the process that started this one, and waits until it is told. */
export async function tellParent(message: ProcessMessage): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });
}

/**
 * Ends this process at once when the one that started it is gone, open streams or not: nobody could stop it any more,
 * and connections come in through the other. Killed, because process.exit, which node:cluster calls by itself, waits
 * for worker threads, and onnxruntime aborts in them. Returns what puts an end to that.
 */
export function endWithParent(): () => void {
  const end = (): void => {
    process.kill(process.pid, "SIGKILL");
  };
  process.prependListener("disconnect", end);
  return () => {
    process.off("disconnect", end);
  };
}

/**
 * Runs this command in several processes on one port until the signal is aborted. One that dies is started again.
 *
 * @throws CommandError if one cannot start, or dies right after its start.
 */
export async function runProcesses(options: ProcessesOptions): Promise<void> {
  const { count, listen, choice, tokens, terminal, signal } = options;
  const port = listen.port === 0 ? await takeFreePort(listen.host) : listen.port;
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), "probestream-uploads-")));
  const workers = new Set<Worker>();
  const sendTokens = (worker: Worker): void => {
    // One that ends meanwhile needs none.
    if (tokens !== undefined) worker.send(toTokensMessage(tokens), () => {});
  };
  tokens?.onReload((error) => {
    if (error === undefined) for (const worker of workers) sendTokens(worker);
  });
  let listening = 0;

  const failure = new Promise<never>((_, reject) => {
    const start = (): void => {
      const startedAt = performance.now();
      const worker = cluster.fork(toProcessEnvironment({ port, stateDir, choice }));
      let isListening = false;
      workers.add(worker);
      worker.on("message", (message: ProcessMessage) => {
        if (message.type === "failed") return reject(new CommandError(message.message, message.exitCode));
        if (message.type === "tokens-wanted") return sendTokens(worker);
        isListening = true;
        listening++;
        if (listening === count) void options.onListening({ host: listen.host, port }, message.description);
      });
      worker.on("exit", (code, killedBy) => {
        workers.delete(worker);
        if (signal.aborted) return;
        const what = `server process ${worker.process.pid} ended (${killedBy ?? code})`;
        if (!isListening || performance.now() - startedAt < leastLifeMs) {
          reject(new CommandError(`${what} right after its start`, exitCodes.unusable));
          return;
        }
        terminal.remark(`${what}; starting another`);
        setTimeout(() => {
          if (!signal.aborted) start();
        }, restartPauseMs);
      });
    };
    for (let index = 0; index < count; index++) start();
  });

  try {
    await Promise.race([failure, aborted(signal)]);
  } finally {
    await stopAll(workers, options.stopMs);
    if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true });
  }
}

/** A free port, so that all processes can ask for the same one, those started later included. */
async function takeFreePort(host: string): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new CommandError(`cannot listen on ${host}: ${cause.message}`, exitCodes.unusable, { cause }));
    });
    server.listen(0, host, () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function stopAll(workers: ReadonlySet<Worker>, stopMs: number): Promise<void> {
  const ended = [...workers].map(
    (worker) =>
      new Promise<void>((resolve) => {
        worker.once("exit", () => resolve());
        worker.process.kill("SIGTERM");
      }),
  );
  const timer = setTimeout(() => {
    for (const worker of workers) worker.process.kill("SIGKILL");
  }, stopMs);
  await Promise.all(ended);
  clearTimeout(timer);
}

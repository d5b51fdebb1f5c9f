import { Worker } from "node:worker_threads";
import { fromPlainError } from "../../../errors/plain-error.js";
import { AbortedError, InvalidInputError, UnavailableError } from "../../../errors/probestream-error.js";
import { toThreadArguments } from "../../../system/thread-arguments.js";
import type { Calls, FromWorker, ToWorker } from "./messages.js";

/** A line to a worker thread that answers calls. */
export interface WorkerLink<C extends { [Name in keyof C]: Calls[string] }> {
  /** Starts the thread if it does not run, and waits until it is ready. */
  start(): Promise<void>;
  /**
   * Asks the worker, which is started if it does not run.
   *
   * @throws AbortedError `WORKER_LOST` if its thread dies; the next call starts another. InvalidInputError `FIELD_INVALID` for
   * what no thread can be given.
   */
  call<Name extends keyof C & string>(
    name: Name,
    request: C[Name]["request"],
    transfer?: readonly ArrayBuffer[],
  ): Promise<C[Name]["response"]>;
  /** Lets the thread end when it has answered, however long that takes; no call is taken any more. */
  close(): Promise<void>;
}

interface Running {
  readonly worker: Worker;
  readonly pending: Map<number, { resolve: (response: never) => void; reject: (error: unknown) => void }>;
  /** Somebody waits for the thread's end, also when no call is left. */
  isAwaited: boolean;
}

/**
 * Makes a line to a worker thread. The thread keeps the process alive only while somebody waits for it.
 *
 * @param what what the thread does, for messages: `searches the catalogue`.
 */
export function createWorkerLink<C extends { [Name in keyof C]: Calls[string] }>(
  module: URL,
  workerData: unknown,
  what: string,
): WorkerLink<C> {
  let running: Promise<Running> | undefined;
  let closed = false;
  let serial = 0;

  const start = (): Promise<Running> => {
    if (closed) throw new UnavailableError("SHUTTING_DOWN", "the catalogue was closed; open it again");
    if (running !== undefined) return running;
    const started = startWorker(module, workerData, what, () => {
      // A thread that ended late must not take the place of its successor away.
      if (running === started) running = undefined;
    });
    running = started;
    return started;
  };

  return {
    start: async () => void (await start()),
    call: async (name, request, transfer = []) => {
      // A thread that runs hears at once: what is not transferred is copied now.
      const { worker, pending } = await start();
      const call = serial++;
      return new Promise((resolve, reject) => {
        const message: ToWorker = { call, name, request };
        try {
          worker.postMessage(message, [...transfer]);
        } catch (cause) {
          // A function, say: nothing was sent, and nobody will answer.
          const why = cause instanceof Error ? cause.message : String(cause);
          throw new InvalidInputError("FIELD_INVALID", `a value is none that can be kept: ${why}`, {}, { cause });
        }
        pending.set(call, { resolve, reject });
        worker.ref();
      });
    },
    close: async () => {
      closed = true;
      const one = await running?.catch(() => undefined);
      if (one !== undefined) await stopWorker(one);
    },
  };
}

async function startWorker(module: URL, workerData: unknown, what: string, onEnd: () => void): Promise<Running> {
  const worker = new Worker(module, {
    workerData,
    name: what,
    execArgv: toThreadArguments(process.execArgv),
  });
  const pending: Running["pending"] = new Map();
  const running: Running = { worker, pending, isAwaited: false };
  let cause: unknown;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => {
      onEnd();
      reject(error);
    };
    worker.on("message", (message: FromWorker) => {
      if (message.type === "ready") resolve();
      else if (message.type === "failed") fail(fromPlainError(message.error));
      else settle(message);
    });
    worker.on("error", (error) => {
      cause = error;
    });
    worker.on("exit", () => {
      const text = cause instanceof Error ? `: ${cause.message}` : "";
      fail(new AbortedError("WORKER_LOST", `the thread that ${what} ended${text}; try again`, {}, { cause }));
      for (const { reject: rejectCall } of pending.values()) {
        rejectCall(new AbortedError("WORKER_LOST", `the thread that ${what} died${text}; try again`, {}, { cause }));
      }
      pending.clear();
    });
  });
  worker.unref();
  return running;

  function settle(message: Exclude<FromWorker, { type: "ready" | "failed" }>): void {
    const one = pending.get(message.call);
    pending.delete(message.call);
    if (pending.size === 0 && !running.isAwaited) worker.unref();
    if (message.type === "answer") one?.resolve(message.response as never);
    else one?.reject(fromPlainError(message.error));
  }
}

/**
 * Lets a worker end by itself. It is never terminated: onnxruntime aborts the whole process when its thread goes inside a
 * `run`, and a write would be cut off.
 */
async function stopWorker(running: Running): Promise<void> {
  const { worker } = running;
  if (worker.threadId < 0) return;
  running.isAwaited = true;
  worker.ref();
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const message: ToWorker = { call: undefined };
  worker.postMessage(message);
  await ended;
}

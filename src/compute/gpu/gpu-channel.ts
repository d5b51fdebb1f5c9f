import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fromPlainError } from "../../errors/plain-error.js";
import { messageOf, notAvailable } from "./gpu-js.js";
import type { GpuCall, GpuReply, GpuRequest } from "./gpu-messages.js";

/** How long the process may take to end by itself, in milliseconds. */
const endPauseMs = 2000;

/**
 * How long the process may go without an answer while it owes one, in milliseconds. A block takes a software driver less
 * than a second, and a large expert's M some seconds.
 */
const defaultAnswerTimeoutMs = 120_000;

type Value = number | Float32Array | undefined;

/** Asks the process to do something. */
export type Call = (call: GpuCall) => Promise<Value>;

/** A line to a GPU process. */
export interface GpuChannel {
  /**
   * @throws UnavailableError `BACKEND_UNAVAILABLE` if the process is lost; else whatever the process threw.
   */
  readonly call: Call;
  /** Lets the process end by itself, or ends it. */
  readonly end: () => Promise<void>;
}

/** Sets whether this process waits for the other one. */
export function keepAlive(child: ChildProcess, alive: boolean): void {
  const { channel } = child;
  if (alive) {
    child.ref();
    channel?.ref();
  } else {
    child.unref();
    channel?.unref();
  }
}

/**
 * Opens a line of calls to a GPU process. All that wait are refused when it ends, or gives no answer for so long that its
 * driver must hang: then it is killed.
 */
export function openChannel(child: ChildProcess, answerTimeoutMs = defaultAnswerTimeoutMs): GpuChannel {
  const waiting = new Map<number, { resolve: (value: Value) => void; reject: (error: Error) => void }>();
  let serial = 0;
  let lost: Error | undefined;
  let deadline: NodeJS.Timeout | undefined;
  /** Counts from the last answer: calls that wait for others before them are not late. */
  const watch = (): void => {
    clearTimeout(deadline);
    deadline = undefined;
    if (waiting.size === 0) return;
    deadline = setTimeout(() => {
      lose(notAvailable(`the GPU process did not answer within ${answerTimeoutMs} ms`));
      child.kill("SIGKILL");
    }, answerTimeoutMs);
  };
  const lose = (error: Error): void => {
    clearTimeout(deadline);
    lost ??= error;
    for (const { reject } of waiting.values()) reject(lost);
    waiting.clear();
  };
  child.on("error", (error) => lose(notAvailable(`the GPU process failed: ${messageOf(error)}`, error)));
  child.on("exit", (code, signal) => lose(notAvailable(`the GPU process ended with ${signal ?? code}`)));
  child.on("message", (reply: GpuReply) => {
    if (reply.type !== "done" && reply.type !== "failed") return;
    const request = waiting.get(reply.id);
    waiting.delete(reply.id);
    watch();
    if (waiting.size === 0) keepAlive(child, false);
    if (reply.type === "done") request?.resolve(reply.value);
    else request?.reject(fromPlainError(reply.error));
  });
  const call: Call = (content) =>
    new Promise((resolve, reject) => {
      if (lost !== undefined) return reject(lost);
      const request: GpuRequest = { id: serial++, call: content };
      waiting.set(request.id, { resolve, reject });
      if (deadline === undefined) watch();
      keepAlive(child, true);
      child.send(request, (error) => {
        if (error !== null) lose(notAvailable(`the GPU process cannot be reached: ${messageOf(error)}`, error));
      });
    });
  const end = async (): Promise<void> => {
    if (lost !== undefined) return;
    const exit = once(child, "exit");
    await call({ op: "end" }).catch(() => undefined);
    lose(notAvailable("the backend was disposed"));
    keepAlive(child, true);
    if (child.connected) child.disconnect();
    const timer = new AbortController();
    await Promise.race([
      exit,
      sleep(endPauseMs, undefined, { signal: timer.signal }).then(() => child.kill("SIGKILL")),
    ]);
    timer.abort();
  };
  return { call, end };
}

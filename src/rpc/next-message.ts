import { AbortedError, UnavailableError } from "../errors/probestream-error.js";

/**
 * The next message, or nothing once the signal is aborted. Not `Promise.race` with one promise for the whole stream:
 * that would keep every message until the stream ends.
 */
export function nextUnless<T>(signal: AbortSignal, messages: AsyncIterator<T>): Promise<IteratorResult<T> | undefined> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(undefined);
    const onAbort = (): void => resolve(undefined);
    signal.addEventListener("abort", onAbort, { once: true });
    messages
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Aborts its signal when it runs for so long. */
export interface IdleTimer {
  readonly signal: AbortSignal;
  start(): void;
  pause(): void;
  stop(): void;
}

/**
 * Creates a timer that runs. It is to run while a message is waited for, not while one is taken in: a server that is slow has
 * not been left alone.
 */
export function createIdleTimer(ms: number): IdleTimer {
  const controller = new AbortController();
  let waits = true;
  // One timer for all messages: to refresh it costs less than to make another.
  const timer = setTimeout(() => {
    if (waits) controller.abort();
  }, ms);
  return {
    signal: controller.signal,
    start: () => {
      waits = true;
      timer.refresh();
    },
    pause: () => {
      waits = false;
    },
    stop: () => clearTimeout(timer),
  };
}

/**
 * Why a stream was ended from this side; nothing if the client ended it.
 *
 * @param what was under way, and can be gone on with or begun again: `the upload`.
 */
export function toEndError(
  idle: AbortSignal,
  closing: AbortSignal,
  idleMs: number,
  what: "the upload" | "the import" | "the export" | "the answer",
): AbortedError | UnavailableError | undefined {
  const next = what === "the upload" ? "can be resumed" : "can be done again";
  if (closing.aborted) {
    const message = `the server is shutting down; ${what} ${next} elsewhere or later`;
    return new UnavailableError("SHUTTING_DOWN", message);
  }
  if (!idle.aborted) return undefined;
  const message = `nothing ${what === "the export" || what === "the answer" ? "went" : "came"} for ${idleMs / 1000} s (--idle-timeout); ${what} ${next}`;
  return new AbortedError("STREAM_IDLE", message, { idleMs });
}

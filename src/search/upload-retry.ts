import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorReason } from "../errors/error-reason.js";
import type { ProbestreamError } from "../errors/probestream-error.js";

/** What can be done about an error of an upload. */
export type UploadRemedy =
  /** Go on with it, under the same id, after a while. */
  | "resume"
  /** Begin it again, under another id. */
  | "restart"
  /** Begin it again under the same id, for the expert that the error names. */
  | "reroute"
  /** Nothing. */
  | "none";

/** What the state that an upload would go on from does not fit any more. */
const restartReasons: ReadonlySet<ErrorReason> = new Set([
  "PLAN_STALE",
  "UPLOAD_MISMATCH",
  "DIGEST_MISMATCH",
  // Someone else uploads the same file: under an id of its own each can finish.
  "UPLOAD_IN_USE",
]);

/** First pause before another attempt, in milliseconds; each further one is twice as long. */
const firstPauseMs = 200;

/** Longest pause, in milliseconds. */
const longestPauseMs = 10_000;

/** What can be done about an error. */
export function toRemedy({ kind, reason }: ProbestreamError): UploadRemedy {
  if (restartReasons.has(reason)) return "restart";
  if (reason === "REROUTED") return "reroute";
  if (reason === "BACKEND_UNAVAILABLE") return "none";
  return kind === "unavailable" || kind === "aborted" || reason === "MEMORY_BUDGET" ? "resume" : "none";
}

/** Waits before the next attempt. Throws the signal's reason if it is aborted meanwhile. */
export async function pauseBeforeRetry(failures: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
  // Half of it at random, so that streams that failed together do not come back together.
  const pauseMs = longest * (0.5 + Math.random() / 2);
  await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}

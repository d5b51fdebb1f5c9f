import { setTimeout as sleep } from "node:timers/promises";
import { UnavailableError } from "../errors/probestream-error.js";

/** A failure that may pass: the request can be made again. Never leaves this room. */
export class TransientFailure extends Error {
  /** How long the server asks to wait, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: { retryAfterMs?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** 60 s: the longest wait that a server's Retry-After is granted. Beyond it an error serves people better. */
export const MAX_RETRY_AFTER_MS = 60_000;

/** 20 s: the longest wait between two attempts where the server does not say. */
export const MAX_BACKOFF_MS = 20_000;

/**
 * Milliseconds that a Retry-After header asks for, capped at {@link MAX_RETRY_AFTER_MS}; undefined if it says nothing
 * that can be read. Both forms of RFC 9110 §10.2.3: seconds, and a date.
 */
export function parseRetryAfter(value: string | null, nowMs = Date.now()): number | undefined {
  if (value === null) return undefined;
  const waitMs = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS);
}

/**
 * Waits before an attempt: as long as the server asked, else exponentially longer with the number of failures, half of
 * it random so that many clients do not come back at once.
 */
export async function waitBeforeRetry(
  failure: TransientFailure,
  failureCount: number,
  firstDelayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const backoffMs = Math.min(firstDelayMs * 2 ** (failureCount - 1), MAX_BACKOFF_MS);
  const waitMs = failure.retryAfterMs ?? backoffMs * (0.5 + Math.random() / 2);
  try {
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause;
  }
}

/** How often and how patiently something is tried. */
export interface RetryRule {
  /** Attempts in a row that may fail. */
  readonly maxAttempts: number;
  /** Milliseconds before the second attempt; later ones wait longer. */
  readonly firstDelayMs: number;
}

/**
 * Waits if another attempt may help; throws otherwise.
 *
 * @param failures attempts in a row that have failed.
 * @param name of what is read, for the message.
 * @throws UnavailableError `SOURCE_UNAVAILABLE` once all attempts failed; the reason of `signal`; `error` if it is no
 * {@link TransientFailure}.
 */
export async function recover(
  error: unknown,
  failures: number,
  { maxAttempts, firstDelayMs }: RetryRule,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  if (!(error instanceof TransientFailure)) throw error;
  if (failures < maxAttempts) return waitBeforeRetry(error, failures, firstDelayMs, signal);
  const message = `${name} could not be read: ${error.message}, ${failures} times in a row. Try again later.`;
  const facts = { url: name, attempts: failures };
  throw new UnavailableError("SOURCE_UNAVAILABLE", message, facts, { cause: error });
}

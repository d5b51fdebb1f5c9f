import { setTimeout as delay } from "node:timers/promises";
import { toProbestreamError } from "../errors/plain-error.js";
import type { ProbestreamError } from "../errors/probestream-error.js";
import type { JobQueue, TakenJob } from "./job-queue.js";

/** How a worker goes through a queue. */
export interface RunJobsOptions {
  /**
   * Does one job, so that doing it again does nothing. What it throws fails the job: for good if it is of a kind that trying
   * again does not mend.
   */
  readonly work: (job: TakenJob, signal: AbortSignal) => Promise<void>;
  /** Jobs at once. Default 4. */
  readonly concurrency?: number;
  /** Whether to end when no job waits or runs anywhere; else it goes on waiting for more. Default true. */
  readonly untilDone?: boolean;
  /** Pause before looking again where no job waits, in milliseconds. Default 1,000. */
  readonly pollMs?: number;
  /** Takes no further jobs; those under way are given up and handed back. */
  readonly signal?: AbortSignal | undefined;
  readonly onDone?: (job: TakenJob) => void;
  readonly onFailed?: (job: TakenJob, error: ProbestreamError, isFinal: boolean) => void;
}

/** Kinds of errors that another try may mend. */
const passing: ReadonlySet<ProbestreamError["kind"]> = new Set([
  "unavailable",
  "aborted",
  "limit-exceeded",
  "internal",
]);
/** A lease is renewed so many times before it ends. */
const renewals = 4;

/**
 * Takes jobs from a queue and does them, some at once, until all are done. A job's lease is renewed while it is worked on.
 *
 * @returns how many jobs this worker did and gave up.
 * @throws what the queue throws, and the signal's reason.
 */
export async function runJobs(
  queue: JobQueue,
  options: RunJobsOptions,
): Promise<{ readonly done: number; readonly failed: number }> {
  const { work, concurrency = 4, untilDone = true, pollMs = 1000, onDone, onFailed } = options;
  const stopping = new AbortController();
  const signal = options.signal === undefined ? stopping.signal : AbortSignal.any([options.signal, stopping.signal]);
  const running = new Map<TakenJob, Promise<void>>();
  let [done, failed] = [0, 0];
  let broken: unknown;

  const runOne = async (job: TakenJob): Promise<void> => {
    try {
      await work(job, signal);
    } catch (thrown) {
      // Given up, not failed.
      if (signal.aborted) return queue.release([job]);
      const error = toProbestreamError(thrown);
      const isFinal = !passing.has(error.kind);
      await queue.fail(job, error.message, isFinal);
      failed += isFinal ? 1 : 0;
      onFailed?.(job, error, isFinal);
      return;
    }
    // Whoever was taken for dead may have been overtaken.
    if ((await queue.complete([job])) === 0) return;
    done++;
    onDone?.(job);
  };

  const renewing = setInterval(() => {
    if (running.size > 0) queue.extend([...running.keys()]).catch(fault);
  }, queue.leaseMs / renewals);
  function fault(error: unknown): void {
    broken ??= error;
    stopping.abort(error);
  }

  try {
    while (!signal.aborted) {
      const taken = running.size < concurrency ? await queue.take(concurrency - running.size) : [];
      for (const job of taken) {
        running.set(
          job,
          runOne(job)
            .catch(fault)
            .finally(() => running.delete(job)),
        );
      }
      if (running.size >= concurrency) await Promise.race(running.values());
      else if (taken.length === 0) {
        const { waiting, running: runningAnywhere } = await queue.counts();
        if (untilDone && waiting === 0 && runningAnywhere === 0) break;
        // Others may still die over theirs, or fail them.
        await Promise.race([delay(pollMs, undefined, { signal }).catch(() => {}), ...running.values()]);
      }
    }
  } catch (error) {
    fault(error);
  } finally {
    await Promise.all(running.values());
    clearInterval(renewing);
  }
  if (broken !== undefined) throw broken;
  options.signal?.throwIfAborted();
  return { done, failed };
}

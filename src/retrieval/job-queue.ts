/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** One model to index. */
export interface NewJob {
  /** Where every worker finds it: a path that all of them have, or a URL. */
  readonly location: string;
  /** What else a worker needs to know: its id, metadata, experts. Jobs are the same if location and options are. */
  readonly options?: { readonly [name: string]: Json };
}

/** A job that a worker has. It is the worker's until it is completed, failed, or not extended for too long. */
export interface TakenJob extends NewJob {
  readonly jobId: string;
  readonly options: { readonly [name: string]: Json };
  /** How often it was taken, this time included. */
  readonly attempt: number;
}

/** How far a queue is. Together they are all jobs that were ever added. */
export interface JobCounts {
  /** Not taken yet, or to be taken again. */
  readonly waiting: number;
  /** Taken. Those of a worker that died count until their time is up. */
  readonly running: number;
  readonly done: number;
  /** Given up. */
  readonly failed: number;
}

/** A job that was given up. */
export interface FailedJob extends NewJob {
  readonly message: string;
}

/**
 * A queue of models to index, shared by any number of workers.
 *
 * Every job is done at least once: one whose worker dies is taken again by another. It is done twice only if a worker is so
 * slow to extend it that it is taken for dead, or dies between finishing and saying so; so work is to be such that doing it
 * again does nothing, as writing a record is, or looking first whether it is there. Finished jobs stay in the queue, so that
 * counts are exact, and adding a job again does nothing.
 */
export interface JobQueue {
  /** Name and place, for people. */
  readonly description: string;
  /** How long a job stays its worker's without being extended, in milliseconds. */
  readonly leaseMs: number;
  /** Adds jobs that are not there yet, all or none; tells how many those were. */
  add(jobs: readonly NewJob[]): Promise<number>;
  /** Takes jobs for this worker; none if none waits now. */
  take(count: number): Promise<readonly TakenJob[]>;
  /** Keeps jobs for {@link leaseMs} more. */
  extend(jobs: readonly TakenJob[]): Promise<void>;
  /** They are done, also those whose lease has ended; tells how many no other worker had completed before. */
  complete(jobs: readonly TakenJob[]): Promise<number>;
  /** Hands jobs back that were not finished: another worker may take them at once, as if they had never been taken. */
  release(jobs: readonly TakenJob[]): Promise<void>;
  /**
   * A job could not be done.
   *
   * @param isFinal whether trying again is useless; else it waits for a while and is taken again, a few times.
   */
  fail(job: TakenJob, message: string, isFinal: boolean): Promise<void>;
  counts(): Promise<JobCounts>;
  /** Jobs that were given up, in the order of their adding. */
  failures(limit: number): Promise<readonly FailedJob[]>;
  /** Lets jobs that were given up be taken again; tells how many. */
  retryFailed(): Promise<number>;
  /** Forgets all jobs. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

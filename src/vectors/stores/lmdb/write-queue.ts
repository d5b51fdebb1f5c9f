import type { RootDatabase } from "lmdb";
import { ProbestreamError } from "../../../errors/probestream-error.js";

/** Runs a change in a transaction; resolves when that is on the disk. */
export type WriteQueue = <Result>(change: () => Result, size?: number) => Promise<Result>;

/** Records of one transaction, about: more would keep other processes and the first caller waiting. */
const recordsPerTransaction = 10_000;

interface Waiting {
  readonly change: () => unknown;
  readonly size: number;
  readonly resolve: (result: never) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers changes that come while the disk is busy and writes them in one transaction, for each costs a wait for the disk.
 * A change that is refused throws one of our errors before it writes, and stops none of the others. If the transaction
 * itself fails, nothing of it is written and all hear so.
 */
export function createWriteQueue(root: RootDatabase<Buffer, Buffer>): WriteQueue {
  const waiting: Waiting[] = [];
  let isScheduled = false;

  const schedule = (): void => {
    if (isScheduled || waiting.length === 0) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      run(takeSome());
      schedule();
    });
  };

  const takeSome = (): Waiting[] => {
    let size = 0;
    let count = 0;
    for (const one of waiting) {
      size += one.size;
      if (count > 0 && size > recordsPerTransaction) break;
      count++;
    }
    return waiting.splice(0, count);
  };

  const run = (taken: readonly Waiting[]): void => {
    const outcomes: (() => void)[] = [];
    try {
      root.transactionSync(() => {
        for (const { change, resolve, reject } of taken) {
          try {
            const result = change();
            outcomes.push(() => resolve(result as never));
          } catch (error) {
            if (!(error instanceof ProbestreamError)) throw error;
            outcomes.push(() => reject(error));
          }
        }
      });
    } catch (error) {
      for (const { reject } of taken) reject(error);
      return;
    }
    for (const tell of outcomes) tell();
  };

  return (change, size = 1) =>
    new Promise((resolve, reject) => {
      waiting.push({ change, size, resolve, reject });
      schedule();
    });
}

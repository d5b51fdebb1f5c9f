import { InternalError, LimitExceededError } from "../errors/probestream-error.js";

/**
 * Takes bytes for what `what` names, as long as a batch runs or an expert's head is kept, and gives a function that gives them
 * back; throws where there is no room.
 */
export type Admit = (bytes: number, what: string, kind: "batch" | "head") => () => void;

/**
 * Bounds what batches take: each has its memory reserved before it begins, and few run at a time. Those of a size have
 * places of their own, so that a lone query does not wait behind thousands.
 */
export interface BatchGate {
  /**
   * @param bytes what the batch takes besides what the store keeps, about.
   * @throws what {@link Admit} throws; LimitExceededError `LIMIT_EXCEEDED` if too many wait; the signal's reason.
   */
  run<T>(bytes: number, what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T>;
}

/** What the gate allows. */
export interface GateLimits {
  readonly batchesAtOnce: number;
  readonly maxWaitingBatches: number;
}

/** Bytes of any batch, however small. */
const leastBytes = 64 * 1024;

/** Bytes of a batch of each size, at most: of some 40 queries for ten models each, of some 300, of any number. */
const sizes = [512 * 1024, 4 * 1024 * 1024, Number.POSITIVE_INFINITY] as const;

/** Batches that share places. */
interface Lane {
  running: number;
  readonly waiting: Set<() => void>;
}

/** Creates a gate that nobody has passed. */
export function createBatchGate({ batchesAtOnce, maxWaitingBatches }: GateLimits, admit: Admit): BatchGate {
  const lanes = sizes.map((maxBytes) => ({ maxBytes, running: 0, waiting: new Set<() => void>() }));

  const enter = async (lane: Lane, what: string, signal: AbortSignal | undefined): Promise<void> => {
    const { waiting } = lane;
    if (lane.running < batchesAtOnce) {
      lane.running++;
      return;
    }
    if (waiting.size >= maxWaitingBatches) {
      throw new LimitExceededError(
        "LIMIT_EXCEEDED",
        `${what} must wait, and ${waiting.size} others wait already (${batchesAtOnce} run at a time); try again later`,
        { waiting: waiting.size, limit: maxWaitingBatches },
      );
    }
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => {
        waiting.delete(go);
        reject(signal?.reason);
      };
      // Whoever leaves hands its place on: `running` stays.
      const go = (): void => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      waiting.add(go);
      signal?.addEventListener("abort", abort, { once: true });
    });
  };

  const leave = (lane: Lane): void => {
    const [next] = lane.waiting;
    if (next === undefined) {
      lane.running--;
      return;
    }
    lane.waiting.delete(next);
    next();
  };

  return {
    run: async (bytes, what, signal, work) => {
      signal?.throwIfAborted();
      const lane = lanes.find(({ maxBytes }) => bytes <= maxBytes) ?? lanes[0];
      if (lane === undefined) throw new InternalError("INTERNAL", "the gate has no lane");
      const release = admit(Math.max(bytes, leastBytes), what, "batch");
      try {
        await enter(lane, what, signal);
        try {
          return await work();
        } finally {
          leave(lane);
        }
      } finally {
        release();
      }
    },
  };
}

import { LimitExceededError } from "../errors/probestream-error.js";

/** Sizes that a plan is made of, in bytes. */
export interface StreamMemory {
  /** HTTP/2 receive window: bytes that a peer may send ahead. */
  readonly receiveWindowBytes: number;
  /** Messages decoded but not yet copied. */
  readonly messagesBytes: number;
  /** Blocks on their way to and from the worker, and the worker's scratch. */
  readonly blocksBytes: number;
}

/**
 * Admits streams and experts as long as their sum stays inside a budget. A layer's bytes cost nothing; what counts is
 * what a stream keeps at a time and what experts keep resident.
 */
export interface MemoryPlan {
  readonly budgetBytes: number;
  /** What the process takes beside the budget: see {@link measureRuntime}. */
  readonly runtimeBytes: number;
  readonly stream: StreamMemory;
  /** Cost of one stream without what depends on its experts. */
  readonly streamBytes: number;
  readonly reservedBytes: number;
  readonly expertBytes: number;
  /** Taken by receive windows that connections with a long round trip have beyond those of their streams. */
  readonly connectionBytes: number;
  readonly openStreams: number;
  /**
   * Takes the cost of one more stream; the function gives it back.
   *
   * @throws LimitExceededError `MEMORY_BUDGET` with the figures.
   */
  admitStream(): () => void;
  /** Takes `bytes` for what `what` names; the function gives them back. Throws like {@link admitStream}. */
  reserve(bytes: number, what: string, kind: ReservationKind): () => void;
  /** Names who is asked to give something back when there is no room: true if that was done. */
  onShortage(give: () => boolean): void;
}

/**
 * What comes on top of a process that has just started: some 32 MiB for a backend, and buffers that are done with but
 * not yet collected. V8 collects when about 64 MiB lie outside the heap of a thread, and the allocator returns them
 * later still; 190 MiB were measured with four streams of 65,536 columns.
 */
const runtimeSlackBytes = 224 * 1024 * 1024;

/** What this process takes before any expert or stream, and what garbage may add. */
export function measureRuntime(): number {
  return process.memoryUsage.rss() + runtimeSlackBytes;
}

/** What memory is reserved for, beside streams. */
export type ReservationKind = "expert" | "model" | "plan" | "connection";

/** Creates a plan with nothing reserved. */
export function createMemoryPlan(
  budgetBytes: number,
  stream: StreamMemory,
  runtimeBytes = measureRuntime(),
): MemoryPlan {
  const streamBytes = stream.receiveWindowBytes + stream.messagesBytes + stream.blocksBytes;
  const bytesOf: Record<ReservationKind, number> = { expert: 0, model: 0, plan: 0, connection: 0 };
  let reserved = 0;
  let streams = 0;
  let reclaim: () => boolean = () => false;

  /** Takes bytes, and gives them back once, whatever else `count` is to do at each. */
  const take = (bytes: number, what: string, count: (sign: 1 | -1) => void): (() => void) => {
    while (reserved + bytes > budgetBytes && reclaim()) {
      // Each turn gives back something that nobody uses.
    }
    if (reserved + bytes > budgetBytes) {
      const { expert: experts } = bytesOf;
      throw new LimitExceededError(
        "MEMORY_BUDGET",
        `${what} needs ${bytes} bytes; ${reserved} of ${budgetBytes} are taken (${experts} by experts, ${streams} streams at ${streamBytes} each). Try again later, or start the server with a larger --memory-budget`,
        { needed: bytes, reserved, budget: budgetBytes, experts, streams },
      );
    }
    reserved += bytes;
    count(1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      reserved -= bytes;
      count(-1);
    };
  };

  return {
    budgetBytes,
    runtimeBytes,
    stream,
    streamBytes,
    get reservedBytes() {
      return reserved;
    },
    get expertBytes() {
      return bytesOf.expert;
    },
    get connectionBytes() {
      return bytesOf.connection;
    },
    get openStreams() {
      return streams;
    },
    admitStream: () =>
      take(streamBytes, "one more stream", (sign) => {
        streams += sign;
      }),
    onShortage: (give) => {
      reclaim = give;
    },
    reserve: (bytes, what, kind) =>
      take(bytes, what, (sign) => {
        bytesOf[kind] += sign * bytes;
      }),
  };
}

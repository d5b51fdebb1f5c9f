import { setTimeout as sleep } from "node:timers/promises";
import { fromPlainError } from "../errors/plain-error.js";
import { AbortedError, type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import type { BlockOperation, FromWorker, WorkerSettings } from "./embed-messages.js";
import { toLoadingBytes, toResidentBytes } from "./expert-memory.js";
import type { MemoryPlan } from "./memory-plan.js";
import {
  type PoolMember,
  postTo,
  type ResidentEntry,
  receive,
  type StreamEvents,
  startMember,
  stopMember,
} from "./pool-member.js";

/** A stream's line to the worker that serves it. */
export interface StreamLink {
  /**
   * Makes an expert resident in the worker and keeps it there until the stream ends.
   *
   * @throws LimitExceededError `MEMORY_BUDGET` if there is no room.
   */
  ensureLoaded(expert: Expert): Promise<void>;
  /** Hands a block over; its buffer comes back through `onBlockDone`. */
  send(buffer: ArrayBuffer, operations: readonly BlockOperation[]): void;
  /** Ends the stream: the worker forgets it. */
  end(): void;
}

/** Worker threads that project. */
export interface WorkerPool {
  readonly size: number;
  /** Backend name and device, as the workers report them. */
  readonly backend: { readonly name: string; readonly device: string };
  /** Joins a stream to the worker with the fewest. */
  open(events: StreamEvents): StreamLink;
  close(): Promise<void>;
}

/** Pauses before a worker that did not start is started again, in milliseconds: the first, and the longest. */
const firstRestartPauseMs = 1000;
const longestRestartPauseMs = 30_000;

/**
 * Starts worker threads and waits until each has its backend. One that dies is replaced.
 * Threads without streams do not keep the process alive.
 *
 * @param onFault hears why a worker died or did not start again.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the backend cannot run here.
 */
export async function startWorkerPool(
  settings: WorkerSettings,
  size: number,
  memory: MemoryPlan,
  onFault: (error: unknown) => void,
): Promise<WorkerPool> {
  let closing = false;
  let serial = 0;
  const started = await Promise.allSettled(Array.from({ length: size }, () => startMember(settings)));
  const members = started.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = started.find((one) => one.status === "rejected");
  if (failed !== undefined) {
    await Promise.all(members.map(({ worker }) => worker.terminate()));
    throw failed.reason;
  }
  const { device } = members[0] as PoolMember;
  for (const member of [...members]) watch(member);

  function watch(member: PoolMember): void {
    let cause: unknown;
    member.worker.on("error", (error) => {
      cause = error;
    });
    member.worker.on("message", (message: FromWorker) => {
      if (message.type === "fault") onFault(fromPlainError(message.error));
      else receive(member, message);
    });
    const bury = (): void => {
      if (closing) return;
      members.splice(members.indexOf(member), 1);
      const message =
        "the worker thread that projected the model died; send it again: a large upload goes on where it was last saved";
      lose(member, new AbortedError("WORKER_LOST", message, {}, { cause }));
      onFault(cause ?? new Error(message));
      void replace();
    };
    // A worker may have died while others were still starting: then it has no thread any more.
    if (member.worker.threadId < 0) {
      bury();
      return;
    }
    member.worker.on("exit", bury);
    // Not before: the first listener takes a reference again.
    member.worker.unref();
  }

  /** Starts a worker in place of one that died. Meanwhile new streams go to those that are left. */
  async function replace(): Promise<void> {
    for (let pauseMs = firstRestartPauseMs; !closing; pauseMs = Math.min(2 * pauseMs, longestRestartPauseMs)) {
      try {
        return join(await startMember(settings));
      } catch (error) {
        onFault(error);
      }
      await sleep(pauseMs, undefined, { ref: false });
    }
  }

  function join(member: PoolMember): void {
    if (closing) {
      void member.worker.terminate();
      return;
    }
    members.push(member);
    watch(member);
  }

  /** Tells all that wait for a worker that nothing more will come. */
  function lose(member: PoolMember, error: ProbestreamError): void {
    member.lost = error;
    for (const { release } of member.experts.values()) release();
    for (const { reject } of member.requests.values()) reject(error);
    for (const events of [...member.streams.values()]) events.onLost(error);
  }

  /** Unloads the expert that nobody has used for the longest time. */
  const evict = (): boolean => {
    const idle = members.flatMap((member) =>
      [...member.experts]
        .filter(([, { users, isLoaded }]) => users === 0 && isLoaded)
        .map(([spaceId, entry]) => ({ member, spaceId, entry })),
    );
    const [oldest] = idle.sort((a, b) => a.entry.lastUse - b.entry.lastUse);
    if (oldest === undefined) return false;
    oldest.member.experts.delete(oldest.spaceId);
    oldest.entry.release();
    postTo(oldest.member, { type: "unload", spaceId: oldest.spaceId });
    return true;
  };

  memory.onShortage(evict);

  const load = (member: PoolMember, expert: Expert): ResidentEntry => {
    let release = memory.reserve(toLoadingBytes(expert), `loading the expert "${expert.name}"`, "expert");
    const request = serial++;
    const answered = new Promise<void>((resolve, reject) => member.requests.set(request, { resolve, reject }));
    const isCurrent = (): boolean => member.experts.get(expert.spaceId) === entry;
    const loaded = answered.then(() => {
      // An expert that was unloaded in between has given everything back already.
      if (!isCurrent()) return;
      release();
      release = memory.reserve(toResidentBytes(expert), `the expert "${expert.name}"`, "expert");
      entry.isLoaded = true;
    });
    const entry: ResidentEntry = {
      users: 0,
      lastUse: performance.now(),
      isLoaded: false,
      loaded,
      release: () => release(),
    };
    member.experts.set(expert.spaceId, entry);
    loaded.catch(() => {
      if (isCurrent()) member.experts.delete(expert.spaceId);
      release();
    });
    postTo(member, { type: "load", request, spaceId: expert.spaceId, folder: expert.folder });
    return entry;
  };

  return {
    size,
    backend: device,
    open: (events) => {
      const member = [...members].sort((a, b) => a.streams.size - b.streams.size)[0];
      if (member === undefined) {
        throw new UnavailableError("BACKEND_UNAVAILABLE", "no projection worker is running now; try again in a moment");
      }
      const stream = serial++;
      const used: ResidentEntry[] = [];
      let ended = false;
      // It keeps the process until the stream ends; while none is open, whoever is done need not close it.
      member.worker.ref();
      member.streams.set(stream, events);
      return {
        ensureLoaded: async (expert) => {
          if (member.lost !== undefined) throw member.lost;
          if (ended) throw new AbortedError("FOOTER_MISSING", "the stream was given up");
          const entry = member.experts.get(expert.spaceId) ?? load(member, expert);
          if (!used.includes(entry)) {
            used.push(entry);
            entry.users++;
          }
          await entry.loaded;
        },
        send: (buffer, operations) => {
          // The worker would take a block of a forgotten stream for the first of a new one.
          if (!ended) postTo(member, { type: "block", stream, buffer, operations }, [buffer]);
        },
        end: () => {
          ended = true;
          member.streams.delete(stream);
          if (member.streams.size === 0) member.worker.unref();
          for (const entry of used.splice(0)) {
            entry.users--;
            entry.lastUse = performance.now();
          }
          postTo(member, { type: "end", stream });
        },
      };
    },
    close: async () => {
      closing = true;
      const error = new UnavailableError(
        "SHUTTING_DOWN",
        "the projection workers are shutting down; send the model again",
      );
      for (const member of members) lose(member, error);
      await Promise.all(members.map(stopMember));
    },
  };
}

/** Joins a stream to a worker of the pool; where there is none, gives back what was taken for the stream, and throws. */
export function openLink(pool: WorkerPool, events: StreamEvents, release: () => void): StreamLink {
  try {
    return pool.open(events);
  } catch (error) {
    release();
    throw error;
  }
}

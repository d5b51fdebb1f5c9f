import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { fromPlainError } from "../errors/plain-error.js";
import { AbortedError, type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import type {
  BlockOperation,
  FromWorker,
  ModelState,
  ToWorker,
  WorkerResult,
  WorkerSettings,
} from "./embed-messages.js";
import { toLoadingBytes, toResidentBytes } from "./expert-memory.js";
import type { MemoryPlan } from "./memory-plan.js";

/** What a stream hears from its worker. */
export interface StreamEvents {
  onBlockDone(buffer: ArrayBuffer): void;
  onCheckpoint(model: number, state: ModelState): void;
  onResult(model: number, result: WorkerResult): void;
  onFailed(model: number, error: ProbestreamError): void;
  /** The worker died; nothing more will come. */
  onLost(error: ProbestreamError): void;
}

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

interface ResidentEntry {
  users: number;
  lastUse: number;
  /** Only then can it be unloaded. */
  isLoaded: boolean;
  readonly loaded: Promise<void>;
  readonly release: () => void;
}

interface Member {
  readonly worker: Worker;
  readonly device: { readonly name: string; readonly device: string };
  readonly streams: Map<number, StreamEvents>;
  readonly requests: Map<number, { resolve: () => void; reject: (error: unknown) => void }>;
  readonly experts: Map<string, ResidentEntry>;
  /** Why it serves no more, once its thread ended. */
  lost: ProbestreamError | undefined;
}

/** Pauses before a worker that did not start is started again, in milliseconds: the first, and the longest. */
const firstRestartPauseMs = 1000;
const longestRestartPauseMs = 30_000;

/**
 * Most that a worker's young generation takes, in MiB: three spaces of 2. Node's default of 48 is reached bit by bit in
 * some minutes of streaming, which would make a long stream cost 30 MiB more than a short one.
 */
const maxYoungGenerationSizeMb = 6;

/** Worker threads load this module. */
const workerModule = new URL("./embed-worker.js", import.meta.url);

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
  const { device } = members[0] as Member;
  for (const member of members) watch(member);

  function watch(member: Member): void {
    let cause: unknown;
    member.worker.on("error", (error) => {
      cause = error;
    });
    member.worker.on("message", (message: FromWorker) => {
      if (message.type === "fault") onFault(fromPlainError(message.error));
      else receive(member, message);
    });
    member.worker.on("exit", () => {
      if (closing) return;
      members.splice(members.indexOf(member), 1);
      const message =
        "the worker thread that projected the model died; send it again: a large upload goes on where it was last saved";
      lose(member, new AbortedError("WORKER_LOST", message, {}, { cause }));
      onFault(cause ?? new Error(message));
      void replace();
    });
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

  function join(member: Member): void {
    if (closing) {
      void member.worker.terminate();
      return;
    }
    members.push(member);
    watch(member);
  }

  /** Tells all that wait for a worker that nothing more will come. */
  function lose(member: Member, error: ProbestreamError): void {
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
    post(oldest.member, { type: "unload", spaceId: oldest.spaceId });
    return true;
  };

  memory.onShortage(evict);

  const load = (member: Member, expert: Expert): ResidentEntry => {
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
    post(member, { type: "load", request, spaceId: expert.spaceId, folder: expert.folder });
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
          if (!ended) post(member, { type: "block", stream, buffer, operations }, [buffer]);
        },
        end: () => {
          ended = true;
          member.streams.delete(stream);
          if (member.streams.size === 0) member.worker.unref();
          for (const entry of used.splice(0)) {
            entry.users--;
            entry.lastUse = performance.now();
          }
          post(member, { type: "end", stream });
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

/** How long a worker may take to finish what it is at, in milliseconds. */
const stopMs = 2000;

/** Lets a worker end by itself: onnxruntime aborts the whole process when its thread is terminated inside a `run`. */
async function stopMember(member: Member): Promise<void> {
  const { worker } = member;
  // A thread that has ended has no id any more, and ends no second time.
  if (worker.threadId < 0) return;
  const timer = setTimeout(() => void worker.terminate(), stopMs);
  // Its end has to be waited for, and only a thread with a reference keeps the process until then.
  worker.ref();
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  post(member, { type: "close" });
  await ended;
  clearTimeout(timer);
}

function post({ worker }: Member, message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
  worker.postMessage(message, [...transfer]);
}

async function startMember(settings: WorkerSettings): Promise<Member> {
  const worker = new Worker(workerModule, {
    workerData: settings,
    name: "projection",
    resourceLimits: { maxYoungGenerationSizeMb },
    // Options of the command line that name a script or its type are not for this module; flags of the engine hold anyway.
    execArgv: [],
  });
  const what = settings.backends.join(", ") || settings.computeModule;
  const unavailable = (why: string, cause?: unknown): UnavailableError =>
    new UnavailableError(
      "BACKEND_UNAVAILABLE",
      `the backend "${what}" does not start: ${why}`,
      { backend: what },
      { cause },
    );
  const device = await new Promise<Member["device"]>((resolve, reject) => {
    worker.on("message", (message: FromWorker) => {
      if (message.type === "ready") resolve({ name: message.name, device: message.device });
    });
    worker.once("error", (cause) => reject(unavailable(cause instanceof Error ? cause.message : String(cause), cause)));
    worker.once("exit", (code) => reject(unavailable(`its thread ended with code ${code}`)));
  });
  worker.removeAllListeners("message");
  return { worker, device, streams: new Map(), requests: new Map(), experts: new Map(), lost: undefined };
}

function receive({ streams, requests }: Member, message: Exclude<FromWorker, { type: "fault" }>): void {
  switch (message.type) {
    case "ready":
      return;
    case "loaded":
      requests.get(message.request)?.resolve();
      requests.delete(message.request);
      return;
    case "not-loaded":
      requests.get(message.request)?.reject(fromPlainError(message.error));
      requests.delete(message.request);
      return;
    case "block-done":
      streams.get(message.stream)?.onBlockDone(message.buffer);
      return;
    case "checkpoint":
      streams.get(message.stream)?.onCheckpoint(message.model, message.state);
      return;
    case "result":
      streams.get(message.stream)?.onResult(message.model, message.result);
      return;
    case "failed":
      streams.get(message.stream)?.onFailed(message.model, fromPlainError(message.error));
      return;
  }
}

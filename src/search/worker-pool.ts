import { Worker } from "node:worker_threads";
import { fromPlainError } from "../errors/plain-error.js";
import { InternalError, type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";
import type { Expert } from "../experts/expert.js";
import type {
  BlockOperation,
  FromWorker,
  ModelState,
  ToWorker,
  WorkerResult,
  WorkerSettings,
} from "./embed-messages.js";
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
   * @throws LimitExceededError `MEMORY_BUDGET` if there is no room, even after unloading experts that are not in use.
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
  readonly loaded: Promise<void>;
  readonly release: () => void;
}

interface Member {
  readonly worker: Worker;
  readonly device: { readonly name: string; readonly device: string };
  readonly streams: Map<number, StreamEvents>;
  readonly requests: Map<number, { resolve: () => void; reject: (error: unknown) => void }>;
  readonly experts: Map<string, ResidentEntry>;
}

/** Worker threads load this module. */
const workerModule = new URL("./embed-worker.js", import.meta.url);

/**
 * Starts worker threads and waits until each has its backend.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the backend cannot run here.
 */
export async function startWorkerPool(settings: WorkerSettings, size: number, memory: MemoryPlan): Promise<WorkerPool> {
  let closing = false;
  let serial = 0;
  const members = await Promise.all(Array.from({ length: size }, () => startMember(settings)));
  for (const member of members) watch(member);

  function watch(member: Member): void {
    const index = members.indexOf(member);
    let cause: unknown;
    member.worker.on("error", (error) => {
      cause = error;
    });
    member.worker.on("message", (message: FromWorker) => receive(member, message));
    member.worker.on("exit", () => {
      if (closing) return;
      const error = new InternalError("INTERNAL", "a projection worker died", {}, { cause });
      for (const { release } of member.experts.values()) release();
      for (const { reject } of member.requests.values()) reject(error);
      for (const events of [...member.streams.values()]) events.onLost(error);
      void startMember(settings).then(
        (next) => {
          members[index] = next;
          watch(next);
        },
        // The place stays empty; new streams go to the other workers.
        () => members.splice(index, 1),
      );
    });
  }

  const evict = (): boolean => {
    const idle = members.flatMap((member) =>
      [...member.experts]
        .filter(([, { users }]) => users === 0)
        .map(([spaceId, entry]) => ({ member, spaceId, entry })),
    );
    const [oldest] = idle.sort((a, b) => a.entry.lastUse - b.entry.lastUse);
    if (oldest === undefined) return false;
    oldest.member.experts.delete(oldest.spaceId);
    oldest.entry.release();
    post(oldest.member, { type: "unload", spaceId: oldest.spaceId });
    return true;
  };

  const reserve = (expert: Expert): (() => void) => {
    for (;;) {
      try {
        return memory.reserve(expert.parameterBytes, `the expert "${expert.name}"`, "expert");
      } catch (error) {
        if (!evict()) throw error;
      }
    }
  };

  const load = (member: Member, expert: Expert): ResidentEntry => {
    const release = reserve(expert);
    const request = serial++;
    const loaded = new Promise<void>((resolve, reject) => member.requests.set(request, { resolve, reject }));
    const entry: ResidentEntry = { users: 0, lastUse: performance.now(), loaded, release };
    member.experts.set(expert.spaceId, entry);
    loaded.catch(() => {
      if (member.experts.get(expert.spaceId) === entry) member.experts.delete(expert.spaceId);
      release();
    });
    post(member, { type: "load", request, spaceId: expert.spaceId, folder: expert.folder });
    return entry;
  };

  return {
    size,
    backend: (members[0] as Member).device,
    open: (events) => {
      const member = [...members].sort((a, b) => a.streams.size - b.streams.size)[0];
      if (member === undefined)
        throw new UnavailableError("BACKEND_UNAVAILABLE", "no projection worker could be started");
      const stream = serial++;
      const used: ResidentEntry[] = [];
      member.streams.set(stream, events);
      return {
        ensureLoaded: async (expert) => {
          const entry = member.experts.get(expert.spaceId) ?? load(member, expert);
          if (!used.includes(entry)) {
            used.push(entry);
            entry.users++;
          }
          await entry.loaded;
        },
        send: (buffer, operations) => post(member, { type: "block", stream, buffer, operations }, [buffer]),
        end: () => {
          member.streams.delete(stream);
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
      await Promise.all(members.map(({ worker }) => worker.terminate()));
    },
  };
}

function post({ worker }: Member, message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
  worker.postMessage(message, [...transfer]);
}

async function startMember(settings: WorkerSettings): Promise<Member> {
  const worker = new Worker(workerModule, { workerData: settings, name: "projection" });
  const device = await new Promise<Member["device"]>((resolve, reject) => {
    worker.once("message", (message: FromWorker) => {
      if (message.type === "ready") resolve({ name: message.name, device: message.device });
    });
    worker.once("error", (cause) =>
      reject(
        new UnavailableError(
          "BACKEND_UNAVAILABLE",
          `the backend "${settings.backend}" does not start: ${cause instanceof Error ? cause.message : String(cause)}`,
          { backend: settings.backend },
          { cause },
        ),
      ),
    );
  });
  return { worker, device, streams: new Map(), requests: new Map(), experts: new Map() };
}

function receive({ streams, requests }: Member, message: FromWorker): void {
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

import { Worker } from "node:worker_threads";
import { fromPlainError } from "../errors/plain-error.js";
import { type ProbestreamError, UnavailableError } from "../errors/probestream-error.js";
import { toThreadArguments } from "../system/thread-arguments.js";
import type { FromWorker, ModelState, ToWorker, WorkerResult, WorkerSettings } from "./embed-messages.js";

/** What a stream hears from its worker. */
export interface StreamEvents {
  onBlockDone(buffer: ArrayBuffer): void;
  onCheckpoint(model: number, state: ModelState): void;
  onResult(model: number, result: WorkerResult): void;
  onFailed(model: number, error: ProbestreamError): void;
  /** The worker died; nothing more will come. */
  onLost(error: ProbestreamError): void;
}

/** An expert that a worker holds, or loads. */
export interface ResidentEntry {
  /** Streams that keep it there. */
  users: number;
  /** As `performance.now` counts. */
  lastUse: number;
  /** Only then can it be unloaded. */
  isLoaded: boolean;
  readonly loaded: Promise<void>;
  readonly release: () => void;
}

/** A worker of a pool, and what it is at. */
export interface PoolMember {
  readonly worker: Worker;
  readonly device: { readonly name: string; readonly device: string };
  readonly streams: Map<number, StreamEvents>;
  readonly requests: Map<number, { resolve: () => void; reject: (error: unknown) => void }>;
  readonly experts: Map<string, ResidentEntry>;
  /** Why it serves no more, once its thread ended. */
  lost: ProbestreamError | undefined;
}

/**
 * Most that a worker's young generation takes, in MiB: three spaces of 2. Node's default of 48 is reached bit by bit in
 * some minutes of streaming, which would make a long stream cost 30 MiB more than a short one.
 */
const maxYoungGenerationSizeMb = 6;

/** Worker threads load this module. */
const workerModule = new URL("./embed-worker.js", import.meta.url);

/** How long a worker may take to finish what it is at, in milliseconds. */
const stopMs = 2000;

/** Lets a worker end by itself: onnxruntime aborts the whole process when its thread is terminated inside a `run`. */
export async function stopMember(member: PoolMember): Promise<void> {
  const { worker } = member;
  // A thread that has ended has no id any more, and ends no second time.
  if (worker.threadId < 0) return;
  const timer = setTimeout(() => void worker.terminate(), stopMs);
  // Its end has to be waited for, and only a thread with a reference keeps the process until then.
  worker.ref();
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  postTo(member, { type: "close" });
  await ended;
  clearTimeout(timer);
}

/** Sends a message to a worker; to one that died for nothing. */
export function postTo({ worker }: PoolMember, message: ToWorker, transfer: readonly ArrayBuffer[] = []): void {
  worker.postMessage(message, [...transfer]);
}

/**
 * Starts a worker thread and waits until it has its backend.
 *
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the backend cannot run here.
 */
export async function startMember(settings: WorkerSettings): Promise<PoolMember> {
  const worker = new Worker(workerModule, {
    workerData: settings,
    name: "projection",
    resourceLimits: { maxYoungGenerationSizeMb },
    execArgv: toThreadArguments(process.execArgv),
  });
  const what = settings.backends.join(", ") || settings.computeModule;
  const unavailable = (why: string, cause?: unknown): UnavailableError =>
    new UnavailableError(
      "BACKEND_UNAVAILABLE",
      `the backend "${what}" does not start: ${why}`,
      { backend: what },
      { cause },
    );
  const device = await new Promise<PoolMember["device"]>((resolve, reject) => {
    worker.on("message", (message: FromWorker) => {
      if (message.type === "ready") resolve({ name: message.name, device: message.device });
    });
    worker.once("error", (cause) => reject(unavailable(cause instanceof Error ? cause.message : String(cause), cause)));
    worker.once("exit", (code) => reject(unavailable(`its thread ended with code ${code}`)));
  });
  worker.removeAllListeners("message");
  return { worker, device, streams: new Map(), requests: new Map(), experts: new Map(), lost: undefined };
}

/** Hands a worker's message to whoever waits for it. */
export function receive({ streams, requests }: PoolMember, message: Exclude<FromWorker, { type: "fault" }>): void {
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

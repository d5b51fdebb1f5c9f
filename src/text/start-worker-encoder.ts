import { Worker } from "node:worker_threads";
import { fromPlainError } from "../errors/plain-error.js";
import {
  AbortedError,
  CorruptDataError,
  type ProbestreamError,
  UnavailableError,
} from "../errors/probestream-error.js";
import { toThreadArguments } from "../system/thread-arguments.js";
import type { TextEncoderOptions } from "./open-text-encoder.js";
import type { EncodedTexts, TextEncoder } from "./text-encoder.js";
import type { EncoderFacts, EncodeWorkerSettings, FromEncodeWorker, ToEncodeWorker } from "./worker-messages.js";

/** How an encoder is started in a thread of its own. */
export interface WorkerEncoderOptions extends TextEncoderOptions {
  /**
   * Module that is loaded in the thread and whose `openEncoder(folder, { threads })` gives the encoder. Default: one that
   * opens an ONNX model with {@link openTextEncoder}.
   */
  readonly encoderModule?: URL | undefined;
  /** Hears why the thread died. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** A thread that has its encoder open. */
interface Line {
  readonly worker: Worker;
  readonly facts: EncoderFacts;
  readonly waiting: Map<number, { resolve(result: EncodedTexts): void; reject(error: unknown): void }>;
  readonly ended: Promise<void>;
  /** Why it answers no more. */
  lost: ProbestreamError | undefined;
}

const workerModule = new URL("./encode-worker.js", import.meta.url);
const onnxModule = new URL("./onnx-encoder-module.js", import.meta.url);

/**
 * Starts a thread that encodes texts, so that the caller's does not wait: onnxruntime blocks the thread it runs in. Any
 * number of callers may ask at a time; they take turns, a batch each. A thread that dies fails what it was asked, and
 * the next caller has another one started.
 *
 * @returns an encoder whose `encode` besides throws AbortedError `WORKER_LOST` if the thread dies, UnavailableError
 * `SHUTTING_DOWN` after `dispose`, CorruptDataError `CORRUPT` if a thread that is started again finds another model. Its
 * `dispose` waits for the batch that is being encoded.
 * @throws UnavailableError `BACKEND_UNAVAILABLE` if the thread does not start; what {@link openTextEncoder} throws.
 */
export async function startWorkerEncoder(folder: string, options: WorkerEncoderOptions = {}): Promise<TextEncoder> {
  const { threads = 1, encoderModule = onnxModule, onFault = () => {} } = options;
  const settings: EncodeWorkerSettings = { folder, threads, encoderModule: encoderModule.href };
  let serial = 0;
  let isClosing = false;
  let current: Promise<Line> | undefined = start();
  const { facts } = await current;

  async function start(): Promise<Line> {
    const line = await startLine(settings);
    void line.ended.then(() => {
      if (line.lost?.reason !== "WORKER_LOST") return;
      current = undefined;
      onFault(line.lost.cause ?? line.lost);
    });
    return line;
  }

  async function restart(): Promise<Line> {
    try {
      const line = await start();
      if (line.facts.identity === facts.identity && line.facts.width === facts.width) return line;
      await stopLine(line);
      const message = `the model in "${folder}" is another than when it was opened; open the encoder again`;
      throw new CorruptDataError("CORRUPT", message, { was: facts.identity, is: line.facts.identity });
    } catch (error) {
      current = undefined;
      throw error;
    }
  }

  async function ask(texts: readonly string[], signal: AbortSignal | undefined): Promise<EncodedTexts> {
    if (isClosing) throw shutDown();
    current ??= restart();
    const line = await current;
    signal?.throwIfAborted();
    if (line.lost !== undefined) throw line.lost;
    const request = serial++;
    return new Promise((resolve, reject) => {
      line.waiting.set(request, { resolve, reject });
      signal?.addEventListener("abort", () => {
        if (line.waiting.delete(request)) post(line, { type: "cancel", request });
      });
      post(line, { type: "encode", request, texts });
    });
  }

  return {
    ...facts,
    encode: (texts, { signal } = {}) => orAbort((inner) => ask(texts, inner), signal),
    dispose: async () => {
      isClosing = true;
      const line = await current?.catch(() => undefined);
      if (line !== undefined) await stopLine(line);
    },
  };
}

/** Does work that is given up as soon as `signal` is aborted. No listener stays with a signal that lives on. */
async function orAbort<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  signal?.throwIfAborted();
  const inner = new AbortController();
  let stop = (): void => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal?.reason);
      inner.abort();
    };
  });
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work(inner.signal), stopped]);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function startLine(settings: EncodeWorkerSettings): Promise<Line> {
  const worker = new Worker(workerModule, {
    workerData: settings,
    name: "text encoder",
    execArgv: toThreadArguments(process.execArgv),
  });
  let cause: unknown;
  worker.on("error", (error) => {
    cause = error;
  });
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const first = await Promise.race([
    new Promise<FromEncodeWorker>((resolve) => worker.once("message", resolve)),
    ended,
  ]);
  if (first?.type === "ready") {
    const line: Line = { worker, facts: first.facts, waiting: new Map(), ended, lost: undefined };
    worker.on("message", (message: FromEncodeWorker) => receive(line, message));
    void ended.then(() => {
      const message = "the worker thread that encoded texts died; ask again, another one is started";
      lose(line, new AbortedError("WORKER_LOST", message, {}, { cause }));
    });
    return line;
  }
  await ended;
  if (first?.type === "not-opened") throw fromPlainError(first.error);
  const why = cause instanceof Error ? cause.message : "it ended";
  const message = `the thread of the text encoder in "${settings.folder}" does not start: ${why}`;
  throw new UnavailableError("BACKEND_UNAVAILABLE", message, {}, { cause });
}

/** Lets a thread end by itself: onnxruntime aborts the whole process when its thread is terminated inside a `run`. */
async function stopLine(line: Line): Promise<void> {
  lose(line, shutDown());
  post(line, { type: "close" });
  await line.ended;
}

function lose(line: Line, error: ProbestreamError): void {
  line.lost ??= error;
  for (const { reject } of line.waiting.values()) reject(line.lost);
  line.waiting.clear();
}

function receive({ waiting }: Line, message: FromEncodeWorker): void {
  if (message.type !== "encoded" && message.type !== "failed") return;
  const asked = waiting.get(message.request);
  waiting.delete(message.request);
  if (message.type === "encoded") asked?.resolve(message.result);
  else asked?.reject(fromPlainError(message.error));
}

function post({ worker }: Line, message: ToEncodeWorker): void {
  worker.postMessage(message);
}

function shutDown(): UnavailableError {
  return new UnavailableError("SHUTTING_DOWN", "the text encoder is shutting down, or has ended; open it again");
}

import { parentPort, workerData } from "node:worker_threads";
import { toPlainError } from "../errors/plain-error.js";
import { InternalError } from "../errors/probestream-error.js";
import type { TextEncoderOptions } from "./open-text-encoder.js";
import type { TextEncoder } from "./text-encoder.js";
import type { EncodeWorkerSettings, FromEncodeWorker, ToEncodeWorker } from "./worker-messages.js";

/** What the module of an encoder offers. */
export interface EncoderModule {
  openEncoder(folder: string, options: TextEncoderOptions): Promise<TextEncoder>;
}

const port = parentPort;
if (port === null) throw new InternalError("INTERNAL", "encode-worker runs in a worker thread only");
const post = (message: FromEncodeWorker, transfer: readonly ArrayBuffer[] = []): void =>
  port.postMessage(message, [...transfer]);

const encoder = await open(workerData as EncodeWorkerSettings);
const running = new Map<number, { readonly stop: AbortController; readonly done: Promise<void> }>();
if (encoder !== undefined) serve(encoder);

async function open({ folder, threads, encoderModule }: EncodeWorkerSettings): Promise<TextEncoder | undefined> {
  try {
    const { openEncoder }: EncoderModule = await import(encoderModule);
    return await openEncoder(folder, { threads });
  } catch (error) {
    post({ type: "not-opened", error: toPlainError(error) });
    return undefined;
  }
}

function serve(opened: TextEncoder): void {
  port?.on("message", (message: ToEncodeWorker) => {
    switch (message.type) {
      case "encode": {
        const stop = new AbortController();
        // Requests take turns, a batch each, so that a short one does not wait for the end of a long one.
        running.set(message.request, { stop, done: encode(opened, message.request, message.texts, stop.signal) });
        return;
      }
      case "cancel":
        running.get(message.request)?.stop.abort();
        return;
      case "close":
        void close(opened);
        return;
    }
  });
  const { identity, width, maxTokens } = opened;
  post({ type: "ready", facts: { identity, width, ...(maxTokens !== undefined && { maxTokens }) } });
}

async function encode(
  opened: TextEncoder,
  request: number,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  try {
    const result = await opened.encode(texts, { signal });
    const { buffer, byteLength } = result.values;
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
    post({ type: "encoded", request, result }, isWhole ? [buffer] : []);
  } catch (error) {
    post({ type: "failed", request, error: toPlainError(error) });
  } finally {
    running.delete(request);
  }
}

async function close(opened: TextEncoder): Promise<void> {
  const left = [...running.values()];
  for (const { stop } of left) stop.abort();
  await Promise.all(left.map(({ done }) => done));
  await opened.dispose();
  port?.close();
}

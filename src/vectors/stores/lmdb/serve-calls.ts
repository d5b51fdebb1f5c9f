import { parentPort } from "node:worker_threads";
import { toPlainError } from "../../../errors/plain-error.js";
import { InternalError } from "../../../errors/probestream-error.js";
import type { FromWorker, ToWorker } from "./messages.js";

/** Handles the calls of a worker thread. */
export interface CallServer {
  /** Takes a call; answers now or later. */
  handle(name: string, request: unknown): unknown;
  /** Lets go of what the worker holds, before its thread ends. */
  close(): Promise<void>;
}

/**
 * Answers the calls that come to this worker thread, each when its handler has settled, until it is told to end.
 *
 * @param open opens what the calls need; if it fails, the thread says why and ends.
 */
export async function serveCalls(open: () => Promise<CallServer>): Promise<void> {
  const port = parentPort;
  if (port === null) throw new InternalError("INTERNAL", "this module runs in a worker thread only");
  const post = (message: FromWorker): void => port.postMessage(message);
  let server: CallServer;
  try {
    server = await open();
  } catch (error) {
    post({ type: "failed", error: toPlainError(error) });
    return;
  }
  const answer = async (call: number, name: string, request: unknown): Promise<void> => {
    try {
      post({ type: "answer", call, response: await server.handle(name, request) });
    } catch (error) {
      post({ type: "error", call, error: toPlainError(error) });
    }
  };
  const unanswered = new Set<Promise<void>>();
  port.on("message", (message: ToWorker) => {
    if (message.call === undefined) {
      void Promise.all(unanswered)
        .then(() => server.close())
        .finally(() => port.close());
      return;
    }
    const answered = answer(message.call, message.name, message.request);
    unanswered.add(answered);
    void answered.then(() => unanswered.delete(answered));
  });
  post({ type: "ready" });
}

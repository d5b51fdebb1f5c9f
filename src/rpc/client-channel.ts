import type { DescMethodClientStreaming, DescMethodServerStreaming } from "@bufbuild/protobuf";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Client, ClientWritableStream, Metadata, ServiceError } from "@grpc/grpc-js";
import { AbortedError } from "../errors/probestream-error.js";
import { fromStatus } from "./from-status.js";
import { nextUnless } from "./next-message.js";
import { retryReads } from "./retry-reads.js";
import { toMethodDefinition } from "./service-definition.js";

/** Calls of a connection, with errors as our classes. */
export interface ClientChannel {
  /** For messages. */
  readonly target: string;
  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal?: AbortSignal,
  ): Promise<MessageShape<O>>;
  /** Messages as they come; who stops taking them stops the call. A server that sends nothing for a deadline's time is left. */
  serverStreaming<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    signal?: AbortSignal,
  ): AsyncGenerator<MessageShape<O>, void, undefined>;
  /** Sends messages as the server takes them; stops when it has answered. */
  clientStreaming<I extends DescMessage, O extends DescMessage>(
    method: DescMethodClientStreaming<I, O>,
    messages: AsyncIterable<MessageInitShape<I>>,
    signal?: AbortSignal,
  ): Promise<MessageShape<O>>;
}

/** How calls are made. */
export interface ChannelOptions {
  /** How long a unary call may take, all attempts together, and a stream may stand still, in milliseconds. */
  readonly deadlineMs: number;
  /** Further attempts of calls that only read, where the server cannot be reached. */
  readonly retries: number;
  /** What goes along with each call. Throws once the connection is closed. */
  readonly createMetadata: () => Metadata;
}

/** Wraps a connection. */
export function createClientChannel(
  client: Client,
  target: string,
  { deadlineMs, retries, createMetadata }: ChannelOptions,
): ClientChannel {
  return {
    target,
    unary: async <I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
      signal?: AbortSignal,
    ): Promise<MessageShape<O>> => {
      const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
      const message = create(method.input, request);
      const endMs = Date.now() + deadlineMs;
      const attempt = (): Promise<MessageShape<O>> =>
        new Promise((resolve, reject) => {
          signal?.throwIfAborted();
          const call = client.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            message,
            createMetadata(),
            { deadline: endMs },
            (error, response) => {
              signal?.removeEventListener("abort", cancel);
              if (error !== null) reject(fromStatus(error, target));
              else if (response !== undefined) resolve(response);
            },
          );
          const cancel = (): void => call.cancel();
          signal?.addEventListener("abort", cancel, { once: true });
        });
      return retryReads(method, attempt, { retries, endMs, signal, assertOpen: createMetadata });
    },

    serverStreaming: async function* serverStreaming(method, request, signal) {
      signal?.throwIfAborted();
      const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        create(method.input, request),
        createMetadata(),
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      const still = createStillTimer(deadlineMs, cancel);
      try {
        for await (const message of call) {
          // The time that it takes to handle a message is not the server's.
          still.stop();
          yield message;
          still.start();
        }
      } catch (error) {
        signal?.throwIfAborted();
        throw still.error(target) ?? (isServiceError(error) ? fromStatus(error, target) : error);
      } finally {
        still.stop();
        signal?.removeEventListener("abort", cancel);
        call.cancel();
      }
    },

    clientStreaming: async (method, messages, signal) => {
      signal?.throwIfAborted();
      const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
      let call: ClientWritableStream<MessageShape<typeof method.input>> | undefined;
      const answered = new AbortController();
      const metadata = createMetadata();
      const cancel = (): void => call?.cancel();
      const still = createStillTimer(deadlineMs, cancel);
      const answer = new Promise<MessageShape<typeof method.output>>((resolve, reject) => {
        call = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata,
          (error, response) => {
            answered.abort();
            if (error !== null) reject(still.error(target) ?? fromStatus(error, target));
            else if (response !== undefined) resolve(response);
          },
        );
      });
      // It is waited for at the end; a failure before that shows at the next write.
      answer.catch(() => {});
      // Called when a waiting write may go on: the stream drained, or the answer is there.
      let wake = (): void => {};
      answered.signal.addEventListener("abort", () => wake(), { once: true });
      // Writes after an early answer fail on the stream; the answer itself tells what there is to tell.
      call?.on("error", () => {});
      call?.on("drain", () => wake());
      signal?.addEventListener("abort", cancel, { once: true });
      const source = messages[Symbol.asyncIterator]();
      try {
        for (;;) {
          // How long the source takes is its own affair; but it must not keep an answer waiting.
          still.stop();
          const next = await nextUnless(answered.signal, source);
          if (answered.signal.aborted || next === undefined || next.done === true) break;
          signal?.throwIfAborted();
          if (call?.write(create(method.input, next.value)) === true) continue;
          still.start();
          if (!answered.signal.aborted) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
        if (!answered.signal.aborted) {
          call?.end();
          still.start();
        }
        return await answer;
      } catch (error) {
        cancel();
        signal?.throwIfAborted();
        throw error;
      } finally {
        still.stop();
        signal?.removeEventListener("abort", cancel);
        // What it holds open is let go, however this ends. Not waited for: a source that stands still would never end.
        source.return?.()?.then(undefined, () => {});
      }
    },
  };
}

/** Gives a call up that stands still for so long. */
function createStillTimer(
  ms: number,
  giveUp: () => void,
): { start(): void; stop(): void; error(target: string): AbortedError | undefined } {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const stop = (): void => clearTimeout(timer);
  const start = (): void => {
    stop();
    timer = setTimeout(() => {
      isOver = true;
      giveUp();
    }, ms);
  };
  start();
  return {
    start,
    stop,
    error: (target) =>
      isOver
        ? new AbortedError("STREAM_IDLE", `${target} moved nothing for ${ms / 1000} s`, { idleMs: ms })
        : undefined,
  };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}

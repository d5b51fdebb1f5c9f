import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import {
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerReadableStream,
  status,
} from "@grpc/grpc-js";
import { InternalError } from "../errors/probestream-error.js";
import { type ReportFault, toStatus } from "./to-status.js";

/**
 * Answers a unary call. Throwing answers with the error's status. `signal` is aborted when the client cancels, its deadline
 * passes or it is gone.
 */
export type Unary<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  signal: AbortSignal,
) => Promise<MessageInitShape<O>>;

/** A server-streaming call as a handler sees it. */
export interface Outgoing<Message> {
  /** Sends a message; settles when the transport has taken it. That is the backpressure. */
  send(message: Message): Promise<void>;
  /** Aborted when the client cancels, its deadline passes or it is gone. */
  readonly signal: AbortSignal;
}

/** Answers a server-streaming call; it ends when the promise settles. */
export type ServerStreaming<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  outgoing: Outgoing<MessageInitShape<O>>,
) => Promise<void>;

/** A client-streaming call as a handler sees it. */
export interface Incoming<Message> {
  /** Messages as they come; ends when the client half-closes, cancels or dies: the end alone commits nothing. */
  readonly messages: AsyncIterator<Message>;
  /** Aborted when the client cancels, its deadline passes or it is gone. */
  readonly signal: AbortSignal;
}

/** Answers a client-streaming call, possibly before the client has sent everything. */
export type ClientStreaming<I extends DescMessage, O extends DescMessage> = (
  incoming: Incoming<MessageShape<I>>,
) => Promise<MessageInitShape<O>>;

/** What nobody hears any more: work that the client gave up is no fault. */
const givenUp = { code: status.CANCELLED, details: "the client gave up" };

/** Wraps a unary handler for grpc-js: one that throws answers with a status instead of hanging the client. */
export function toUnaryHandler<I extends DescMessage, O extends DescMessage>(
  handler: Unary<I, O>,
  report: ReportFault,
): handleUnaryCall<MessageShape<I>, MessageInitShape<O>> {
  return (call, callback) => {
    const controller = new AbortController();
    // Fires after a successful call as well, when nobody listens any more.
    call.once("cancelled", () => controller.abort());
    const answer = async (): Promise<MessageInitShape<O>> => handler(call.request, controller.signal);
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(controller.signal.aborted ? givenUp : toStatus(error, report)),
    );
  };
}

/** Wraps a server-streaming handler for grpc-js. */
export function toServerStreamingHandler<I extends DescMessage, O extends DescMessage>(
  handler: ServerStreaming<I, O>,
  report: ReportFault,
): handleServerStreamingCall<MessageShape<I>, MessageInitShape<O>> {
  return (call) => {
    const controller = new AbortController();
    const { signal } = controller;
    call.once("cancelled", () => controller.abort());
    const send = (message: MessageInitShape<O>): Promise<void> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const abort = (): void => reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        // Not `drain`, which comes when 16 messages wait.
        call.write(message, () => {
          signal.removeEventListener("abort", abort);
          resolve();
        });
      });
    const run = async (): Promise<void> => handler(call.request, { send, signal });
    run().then(
      () => call.end(),
      (error: unknown) => {
        // Nobody is left to hear of it.
        if (signal.aborted) call.end();
        else call.emit("error", toStatus(error, report));
      },
    );
  };
}

/** Wraps a client-streaming handler for grpc-js. */
export function toClientStreamingHandler<I extends DescMessage, O extends DescMessage>(
  handler: ClientStreaming<I, O>,
  report: ReportFault,
): handleClientStreamingCall<MessageShape<I>, MessageInitShape<O>> {
  return (call, callback) => {
    const incoming = toIncoming<MessageShape<I>>(call);
    const answer = async (): Promise<MessageInitShape<O>> => handler(incoming);
    answer().then(
      (response) => callback(null, response),
      (error: unknown) => callback(incoming.signal.aborted ? givenUp : toStatus(error, report)),
    );
  };
}

/**
 * Messages that grpc-js decodes ahead of a handler that reads slowly. Node's own 16 would cost each stream 16 MiB, and
 * lose as much when the process dies.
 */
export const queuedMessages = 2;

/** What this module touches of Node's streams that their types keep private. */
interface Internals {
  readonly _readableState?: { highWaterMark: number };
}

function toIncoming<Message>(call: ServerReadableStream<Message, unknown>): Incoming<Message> {
  // grpc-js creates the stream and takes no option for it; nothing is read before the first message is asked for.
  const { _readableState: state } = call as Internals;
  if (state === undefined)
    throw new InternalError("INTERNAL", "this version of Node keeps stream limits elsewhere: review toIncoming");
  state.highWaterMark = queuedMessages;
  const controller = new AbortController();
  // Fires after a successful call as well, when nobody listens any more.
  call.once("cancelled", () => controller.abort());
  // Leaving the loop early must not destroy the call: the answer goes through it.
  const messages: AsyncIterator<Message> = call.iterator({ destroyOnReturn: false });
  return { messages, signal: controller.signal };
}

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { handleClientStreamingCall, handleUnaryCall, ServerReadableStream } from "@grpc/grpc-js";
import { type ReportFault, toStatus } from "./to-status.js";

/** Answers a unary call. Throwing answers with the error's status. */
export type Unary<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
) => Promise<MessageInitShape<O>>;

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

/** Wraps a unary handler for grpc-js: one that throws answers with a status instead of hanging the client. */
export function toUnaryHandler<I extends DescMessage, O extends DescMessage>(
  handler: Unary<I, O>,
  report: ReportFault,
): handleUnaryCall<MessageShape<I>, MessageInitShape<O>> {
  return (call, callback) => {
    handler(call.request).then(
      (response) => callback(null, response),
      (error: unknown) => callback(toStatus(error, report)),
    );
  };
}

/** Wraps a client-streaming handler for grpc-js. */
export function toClientStreamingHandler<I extends DescMessage, O extends DescMessage>(
  handler: ClientStreaming<I, O>,
  report: ReportFault,
): handleClientStreamingCall<MessageShape<I>, MessageInitShape<O>> {
  return (call, callback) => {
    handler(toIncoming<MessageShape<I>>(call)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(toStatus(error, report)),
    );
  };
}

function toIncoming<Message>(call: ServerReadableStream<Message, unknown>): Incoming<Message> {
  const controller = new AbortController();
  // Fires after a successful call as well, when nobody listens any more.
  call.once("cancelled", () => controller.abort());
  // Leaving the loop early must not destroy the call: the answer goes through it.
  const messages: AsyncIterator<Message> = call.iterator({ destroyOnReturn: false });
  return { messages, signal: controller.signal };
}

import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { AbortedError, type ErrorKind, InternalError, ProbestreamError } from "../errors/probestream-error.js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import { toFactTexts } from "./convert/error.js";

/** Who defines the reasons in ErrorInfo. */
export const errorDomain = "probestream.dev";

/** The one place that knows gRPC codes. */
const codes = {
  "invalid-input": status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  precondition: status.FAILED_PRECONDITION,
  "limit-exceeded": status.RESOURCE_EXHAUSTED,
  aborted: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  "corrupt-data": status.DATA_LOSS,
  "access-denied": status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorKind, status>;

/** gRPC status code of an error. */
export function toCode({ kind }: Pick<ProbestreamError, "kind">): status {
  return codes[kind];
}

/** Hears of errors that are not the caller's, with the id that the caller was given. */
export type ReportFault = (requestId: string, error: unknown) => void;

/**
 * An error as the caller may see it: ours as it is; anything else, and our own faults, as a fixed sentence with a
 * request id, under which the cause is reported.
 */
export function toPublicError(thrown: unknown, report: ReportFault): ProbestreamError {
  if (thrown instanceof ProbestreamError && thrown.kind !== "internal") return thrown;
  if (isPrematureClose(thrown)) return new AbortedError("FOOTER_MISSING", "the stream broke off");
  const requestId = randomUUID();
  report(requestId, thrown);
  return new InternalError("INTERNAL", `internal error; the server's log has the cause under request id ${requestId}`, {
    requestId,
  });
}

/** The status of a failed call, with ErrorInfo in `grpc-status-details-bin`. */
export function toStatus(thrown: unknown, report: ReportFault): StatusObject {
  const error = toPublicError(thrown, report);
  const code = toCode(error);
  const info = create(ErrorInfoSchema, {
    reason: error.reason,
    domain: errorDomain,
    metadata: toFactTexts(error.facts),
  });
  const details = create(StatusSchema, { code, message: error.message, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, details)));
  return { code, details: error.message, metadata };
}

function isPrematureClose(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ERR_STREAM_PREMATURE_CLOSE";
}

import { randomUUID } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { toProbestreamError } from "../errors/plain-error.js";
import { AbortedError, InternalError, ProbestreamError } from "../errors/probestream-error.js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import type { ModelError } from "../gen/probestream/v1/types_pb.js";
import { toFactTexts, toModelError } from "./convert/error.js";
import { toCode } from "./status-codes.js";

/** Who defines the reasons in ErrorInfo. */
export const errorDomain = "probestream.dev";

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

/** What one model or query of a call ends with, as its caller may see it: see {@link toPublicError}. */
export function toPublicModelError(thrown: unknown, report: ReportFault): ModelError {
  return toModelError(toPublicError(toProbestreamError(thrown), report));
}

function isPrematureClose(thrown: unknown): boolean {
  return thrown instanceof Error && "code" in thrown && thrown.code === "ERR_STREAM_PREMATURE_CLOSE";
}

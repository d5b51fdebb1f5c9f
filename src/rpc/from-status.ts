import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import { fromPlainError } from "../errors/plain-error.js";
import {
  AbortedError,
  type ProbestreamError,
  UnauthenticatedError,
  UnavailableError,
} from "../errors/probestream-error.js";
import { type ErrorInfo, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";
import { cleanDetails } from "./clean-details.js";
import { toReason } from "./convert/error.js";
import { toKind } from "./status-codes.js";

/** What OpenSSL says where the first bytes of an answer are no TLS. */
const speaksNoTls = /wrong version number|WRONG_VERSION_NUMBER|packet length too long/;

/** The error of a failed call, as the server threw it; codes of the transport itself get the nearest of our classes. */
export function fromStatus(error: ServiceError, target: string): ProbestreamError {
  const info = readInfo(error.metadata.get("grpc-status-details-bin")[0]);
  if (info !== undefined) {
    return fromPlainError({
      kind: toKind(error.code),
      reason: toReason(info.reason),
      message: error.details,
      facts: info.metadata,
    });
  }
  switch (error.code) {
    case status.UNAVAILABLE:
      if (speaksNoTls.test(error.details)) {
        const message = `the server ${target} speaks no TLS, and this client does; leave \`tls\` out, or start the server with a certificate`;
        return new UnavailableError("SOURCE_UNAVAILABLE", message, { target }, { cause: error });
      }
      return new UnavailableError(
        "SOURCE_UNAVAILABLE",
        `the server ${target} cannot be reached: ${cleanDetails(error.details)}; is \`probestream serve\` running there?`,
        { target },
        { cause: error },
      );
    case status.DEADLINE_EXCEEDED:
      return new AbortedError(
        "STREAM_IDLE",
        `the server ${target} did not answer before the call's deadline; is it a Probestream server, and is the deadline long enough?`,
        { target },
        { cause: error },
      );
    case status.CANCELLED:
      return new AbortedError(
        "FOOTER_MISSING",
        `the call to ${target} ended early: ${error.details}`,
        {},
        { cause: error },
      );
    case status.UNAUTHENTICATED:
      return new UnauthenticatedError(
        "TOKEN_INVALID",
        `${target} does not know who is asking: ${error.details}. Check the token.`,
        { target },
        { cause: error },
      );
    case status.UNIMPLEMENTED:
      return new UnavailableError(
        "SOURCE_UNAVAILABLE",
        `${target} is not a Probestream server, or an older one: ${error.details}`,
        { target },
        { cause: error },
      );
    default:
      return fromPlainError({ kind: toKind(error.code), reason: "INTERNAL", message: error.details, facts: {} });
  }
}

/** What the server says of an error; undefined where it says nothing, or what stands between it and us made it unreadable. */
function readInfo(packed: string | Buffer | undefined): ErrorInfo | undefined {
  if (!(packed instanceof Buffer)) return undefined;
  try {
    return fromBinary(StatusSchema, packed)
      .details.map((detail) => anyUnpack(detail, ErrorInfoSchema))
      .find((info) => info !== undefined);
  } catch {
    return undefined;
  }
}

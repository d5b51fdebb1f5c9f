import { status } from "@grpc/grpc-js";
import type { ErrorKind, ProbestreamError } from "../errors/probestream-error.js";

/** The one place that knows what gRPC codes mean for errors of ours. */
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

const kinds = new Map(Object.entries(codes).map(([kind, code]): [number, ErrorKind] => [code, kind as ErrorKind]));

/** gRPC status code of an error. */
export function toCode({ kind }: Pick<ProbestreamError, "kind">): status {
  return codes[kind];
}

/** What a caller can do about a status code; one that no error of ours has counts as internal. */
export function toKind(code: number): ErrorKind {
  return kinds.get(code) ?? "internal";
}

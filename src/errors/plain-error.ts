import type { ErrorReason } from "./error-reason.js";
import {
  AbortedError,
  AccessDeniedError,
  CorruptDataError,
  type ErrorFacts,
  type ErrorKind,
  type FoundFacts,
  InternalError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PreconditionError,
  ProbestreamError,
  UnauthenticatedError,
  UnavailableError,
} from "./probestream-error.js";

/** An error as plain data, fit for `postMessage` between threads. */
export interface PlainError {
  readonly kind: ErrorKind;
  readonly reason: ErrorReason;
  readonly message: string;
  readonly facts: ErrorFacts;
}

type Construct = new (
  reason: ErrorReason,
  message: string,
  facts?: FoundFacts,
  options?: ErrorOptions,
) => ProbestreamError;

const classes = {
  "invalid-input": InvalidInputError,
  "not-found": NotFoundError,
  precondition: PreconditionError,
  "limit-exceeded": LimitExceededError,
  aborted: AbortedError,
  unavailable: UnavailableError,
  "corrupt-data": CorruptDataError,
  "access-denied": AccessDeniedError,
  unauthenticated: UnauthenticatedError,
  internal: InternalError,
} as const satisfies Record<ErrorKind, Construct>;

/** Converts anything thrown to plain data; what is not ours becomes `internal` with its stack in the facts. */
export function toPlainError(thrown: unknown): PlainError {
  const error = toProbestreamError(thrown);
  const cause = error.cause instanceof Error ? { cause: error.cause.stack ?? error.cause.message } : {};
  return { kind: error.kind, reason: error.reason, message: error.message, facts: { ...error.facts, ...cause } };
}

/** Rebuilds the error that {@link toPlainError} took apart. */
export function fromPlainError(plain: PlainError): ProbestreamError {
  const { cause, ...facts } = plain.facts;
  const options = cause === undefined ? undefined : { cause: new Error(String(cause)) };
  return new classes[plain.kind](plain.reason, plain.message, facts, options);
}

/** Anything thrown as one of our errors: itself if it is one, else an {@link InternalError} with it as the cause. */
export function toProbestreamError(thrown: unknown): ProbestreamError {
  if (thrown instanceof ProbestreamError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new InternalError("INTERNAL", message, {}, { cause: thrown });
}

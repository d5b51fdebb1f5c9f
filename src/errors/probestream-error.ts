import type { ErrorReason } from "./error-reason.js";

/** What a caller can do about an error; one class each, and one gRPC status code each (`rpc/to-status.ts`). */
export type ErrorKind =
  | "invalid-input"
  | "not-found"
  | "precondition"
  | "limit-exceeded"
  | "aborted"
  | "unavailable"
  | "corrupt-data"
  | "access-denied"
  | "unauthenticated"
  | "internal";

/** Facts of an error by name: numbers and names that its message mentions. They can be written as JSON. */
export type ErrorFacts = Readonly<Record<string, string | number>>;

/** Facts as they are found: 64-bit integers become numbers, or texts where a number does not hold them exactly. */
export type FoundFacts = Readonly<Record<string, string | number | bigint>>;

/**
 * Base of all errors that this package throws on purpose. The message states what was found, what was allowed, and
 * the knob; `reason` and `facts` state the same for programs.
 */
export abstract class ProbestreamError extends Error {
  /** What the caller can do about it. */
  abstract readonly kind: ErrorKind;
  /** Why, as a constant. */
  readonly reason: ErrorReason;
  /** Numbers and names of the message. */
  readonly facts: ErrorFacts;

  constructor(reason: ErrorReason, message: string, facts: FoundFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.reason = reason;
    this.facts = toErrorFacts(facts);
  }
}

function toErrorFacts(found: FoundFacts): ErrorFacts {
  const facts: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(found)) {
    if (typeof value !== "bigint") facts[name] = value;
    else facts[name] = Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  return facts;
}

/** The input is wrong; sending it again is useless. */
export class InvalidInputError extends ProbestreamError {
  readonly kind = "invalid-input";
}

/** What was named does not exist. */
export class NotFoundError extends ProbestreamError {
  readonly kind = "not-found";
}

/** The request fits no state the system is in; the message says what to decide or do first. */
export class PreconditionError extends ProbestreamError {
  readonly kind = "precondition";
}

/** More than is allowed, or than there is room for now; the message names the limit and its knob. */
export class LimitExceededError extends ProbestreamError {
  readonly kind = "limit-exceeded";
}

/** The work was cut off before its end; nothing was committed, and it can be done again. */
export class AbortedError extends ProbestreamError {
  readonly kind = "aborted";
}

/** Something needed is not there now; trying again later may help. */
export class UnavailableError extends ProbestreamError {
  readonly kind = "unavailable";
}

/** Data that should be right is not: a digest differs, a stored file is damaged. */
export class CorruptDataError extends ProbestreamError {
  readonly kind = "corrupt-data";
}

/** Rights are missing. */
export class AccessDeniedError extends ProbestreamError {
  readonly kind = "access-denied";
}

/** Who asks is not known: a token is missing or not the right one. */
export class UnauthenticatedError extends ProbestreamError {
  readonly kind = "unauthenticated";
}

/** A fault of this package. The message is for people who can read a log; the cause says what happened. */
export class InternalError extends ProbestreamError {
  readonly kind = "internal";
}

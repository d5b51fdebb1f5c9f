import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import test from "ava";
import { fromPlainError, type PlainError, toPlainError, toProbestreamError } from "../../src/errors/plain-error.js";
import {
  AbortedError,
  AccessDeniedError,
  CorruptDataError,
  type ErrorKind,
  InternalError,
  InvalidInputError,
  LimitExceededError,
  NotFoundError,
  PreconditionError,
  type ProbestreamError,
  UnauthenticatedError,
  UnavailableError,
} from "../../src/errors/probestream-error.js";

const facts = { tensor: "m.fc", row: 3, bytes: 936n, length: 2n ** 60n };
/** What an error makes of them: JSON has no such integers. */
const kept = { tensor: "m.fc", row: 3, bytes: 936, length: "1152921504606846976" };
const errors = {
  "invalid-input": new InvalidInputError("NON_FINITE", "row 3 is NaN", facts),
  "not-found": new NotFoundError("EXPERT_NOT_FOUND", "no such expert", facts),
  precondition: new PreconditionError("PLAN_STALE", "the plan is old", facts),
  "limit-exceeded": new LimitExceededError("MEMORY_BUDGET", "no room", facts),
  aborted: new AbortedError("FOOTER_MISSING", "cut off", facts),
  unavailable: new UnavailableError("BACKEND_UNAVAILABLE", "not there", facts),
  "corrupt-data": new CorruptDataError("DIGEST_MISMATCH", "damaged", facts),
  "access-denied": new AccessDeniedError("ACCESS_DENIED", "no rights", facts),
  unauthenticated: new UnauthenticatedError("TOKEN_INVALID", "who is it", facts),
  internal: new InternalError("INTERNAL", "our fault", facts),
} satisfies Record<ErrorKind, ProbestreamError>;

/** What a message becomes on its way between threads. */
function post(message: PlainError): PlainError {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(message);
  const received: { message: PlainError } | undefined = receiveMessageOnPort(port2);
  port1.close();
  if (received === undefined) throw new Error("nothing arrived");
  return received.message;
}

const roundTrip = test.macro<[ProbestreamError]>({
  exec: (t, error) => {
    const rebuilt = fromPlainError(post(toPlainError(error)));
    t.is(rebuilt.constructor, error.constructor);
    t.is(rebuilt.name, error.constructor.name);
    t.is(rebuilt.kind, error.kind);
    t.is(rebuilt.reason, error.reason);
    t.is(rebuilt.message, error.message);
    t.deepEqual(rebuilt.facts, kept);
    t.is(rebuilt.cause, undefined);
  },
  title: (_, error) => `an error of kind ${error.kind} crosses threads unchanged`,
});
for (const error of Object.values(errors)) test(roundTrip, error);

test("a cause crosses threads as its stack", (t) => {
  const cause = new TypeError("the root of it");
  const rebuilt = fromPlainError(post(toPlainError(new InternalError("INTERNAL", "failed", facts, { cause }))));
  t.deepEqual(rebuilt.facts, kept);
  t.true(rebuilt.cause instanceof Error);
  t.regex(String(rebuilt.cause), /TypeError: the root of it/);
});

test("what is not ours becomes an internal error with it as the cause", (t) => {
  const thrown = new RangeError("too long");
  const error = toProbestreamError(thrown);
  t.true(error instanceof InternalError);
  t.is(error.reason, "INTERNAL");
  t.is(error.message, "too long");
  t.is(error.cause, thrown);
  t.is(toProbestreamError("a word").message, "a word");
  t.is(toProbestreamError(undefined).message, "undefined");
});

test("an error of ours stays the same object", (t) => {
  t.is(toProbestreamError(errors.aborted), errors.aborted);
});

test("facts can be written as JSON, integers of 64 bits among them", (t) => {
  t.deepEqual(JSON.parse(JSON.stringify(errors.aborted.facts)), kept);
});

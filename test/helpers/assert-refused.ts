import type { ExecutionContext } from "ava";
import type { ErrorReason } from "../../src/errors/error-reason.js";
import { type ErrorFacts, type ErrorKind, ProbestreamError } from "../../src/errors/probestream-error.js";

/** What an error is expected to be. */
export interface ExpectedError {
  readonly kind?: ErrorKind;
  readonly reason: ErrorReason;
  readonly message: string | RegExp;
  readonly facts?: ErrorFacts;
}

/** Asserts that something is one of our errors: its reason, message and facts. */
export function assertError(t: ExecutionContext<unknown>, found: unknown, expected: ExpectedError): void {
  if (!(found instanceof ProbestreamError)) {
    t.log(found);
    throw t.fail(`not a ProbestreamError: ${String(found)}`);
  }
  t.is(found.reason, expected.reason, found.message);
  if (typeof expected.message === "string") t.is(found.message, expected.message);
  else t.regex(found.message, expected.message);
  if (expected.kind !== undefined) t.is(found.kind, expected.kind);
  if (expected.facts !== undefined) t.deepEqual(found.facts, expected.facts);
}

/** Asserts that work is refused with one of our errors. */
export async function assertRefused(
  t: ExecutionContext<unknown>,
  work: () => unknown,
  expected: ExpectedError,
): Promise<void> {
  let thrown: unknown;
  try {
    await work();
  } catch (error) {
    thrown = error;
  }
  if (thrown === undefined) throw t.fail("it was not refused");
  assertError(t, thrown, expected);
}

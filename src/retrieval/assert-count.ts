import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";

/**
 * Guards the number of things that come in one call.
 *
 * @param what the things, for messages: `queries`.
 * @throws InvalidInputError `FIELD_INVALID` for none, LimitExceededError `LIMIT_EXCEEDED` for too many.
 */
export function assertCount(found: number, limit: number, what: string): void {
  if (found >= 1 && found <= limit) return;
  const facts = { found, limit };
  if (found < 1) throw new InvalidInputError("FIELD_INVALID", `the call has no ${what}; it takes 1 to ${limit}`, facts);
  throw new LimitExceededError("LIMIT_EXCEEDED", `the call has ${found} ${what}; it takes ${limit} at most`, facts);
}

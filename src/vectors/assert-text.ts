import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";

/** A name or value for a message, quoted and shortened. */
export function quoteText(text: string): string {
  return JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}…` : text);
}

/**
 * Whether every store can keep a text: UTF-8 has no half of a surrogate pair, and PostgreSQL keeps no NUL.
 */
export function isStorableText(text: string): boolean {
  return !/\p{Surrogate}/u.test(text) && !text.includes("\0");
}

/**
 * Asserts that a text can be kept.
 *
 * @param what what it is, for the message: `the id of record 3`.
 * @param maxUnits UTF-16 units at most.
 * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`.
 */
export function assertText(text: unknown, what: string, maxUnits: number): asserts text is string {
  if (typeof text !== "string") throw new InvalidInputError("FIELD_INVALID", `${what} is ${typeof text}, not a text`);
  if (text.length > maxUnits) {
    const message = `${what} has ${text.length} UTF-16 units; at most ${maxUnits} are allowed`;
    throw new LimitExceededError("LIMIT_EXCEEDED", message, { length: text.length, limit: maxUnits });
  }
  if (isStorableText(text)) return;
  const message = `${what}, ${quoteText(text)}, has a NUL or half of a surrogate pair; leave it out`;
  throw new InvalidInputError("FIELD_INVALID", message);
}

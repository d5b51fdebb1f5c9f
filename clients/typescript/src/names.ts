import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { showValue } from "../../../src/errors/show-value.js";

/** Names, or one alone. */
export type Names = string | readonly string[];

/**
 * Names as the wire takes them. A name alone stands for a list of one; else it would be one of letters.
 *
 * @param what they are, for messages.
 * @throws InvalidInputError `FIELD_INVALID` for what is no name.
 */
export function toNames(names: Names, what: string): readonly string[] {
  const list: readonly unknown[] = typeof names === "string" ? [names] : names;
  if (Array.isArray(list) && list.every((name) => typeof name === "string")) return [...list];
  const message = `${what} is given as ${showValue(names)}; give a name, or a list of names`;
  throw new InvalidInputError("FIELD_INVALID", message, { field: what });
}

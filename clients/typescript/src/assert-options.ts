import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { showValue } from "../../../src/errors/show-value.js";

/**
 * Asserts that options are an object that has no other field than those that are known: one that is misspelt would be passed
 * over without a word.
 *
 * @param what takes the options, for messages: `update`.
 * @param advice where fields belong that are often given here, by field.
 * @throws InvalidInputError `FIELD_INVALID`.
 */
export function assertOptions(
  options: unknown,
  known: readonly string[],
  what: string,
  advice: Readonly<Record<string, string>> = {},
): void {
  const takes = `${what} takes an object with ${known.join(", ")}`;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new InvalidInputError("FIELD_INVALID", `${takes}; it was given ${showValue(options)}`, { field: what });
  }
  const other = Object.keys(options).find((name) => !known.includes(name));
  if (other === undefined) return;
  const message = `${takes}, and no ${showValue(other)}${Object.hasOwn(advice, other) ? `; ${advice[other]}` : ""}`;
  throw new InvalidInputError("FIELD_INVALID", message, { field: other });
}

import { inspect } from "node:util";

/** Longest text that a message shows of a value. */
const maxShown = 80;

/** A value of any kind as a message shows it, on one line: `[ 'anime' ]`, `null`, `42n`. */
export function showValue(value: unknown): string {
  const shown = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxArrayLength: 10,
    maxStringLength: 60,
  });
  return shown.length <= maxShown ? shown : `${shown.slice(0, maxShown)}…`;
}

import { relativeError } from "../../test/helpers/oracle.js";
import type { Json, JsonObject } from "./conformance-case.js";

/** Bound of the design, relative L2. */
const tolerance = 1e-5;

/** What of an outcome does not fit a pattern, as `place: what`; undefined if all does. */
export function findMismatch(pattern: Json, found: Json | undefined, place = ""): string | undefined {
  const wrong = (what: string): string => `${place === "" ? "outcome" : place}: ${what}`;
  if (found === undefined) return wrong("is missing");
  if (Array.isArray(pattern)) {
    if (!Array.isArray(found)) return wrong(`is ${show(found)}, not a list`);
    if (pattern.length !== found.length)
      return wrong(`has ${found.length} entries, not ${pattern.length}: ${show(found)}`);
    return firstOf(pattern.map((item: Json, i: number) => () => findMismatch(item, found[i], `${place}[${i}]`)));
  }
  if (pattern === null || typeof pattern !== "object") {
    return pattern === found ? undefined : wrong(`is ${show(found)}, not ${show(pattern)}`);
  }
  const fields = pattern as JsonObject;
  const [operator] = Object.keys(fields);
  if (operator?.startsWith("$")) {
    const problem = applyOperator(operator, fields[operator] as Json, found);
    return problem === undefined ? undefined : wrong(problem);
  }
  if (found === null || typeof found !== "object" || Array.isArray(found))
    return wrong(`is ${show(found)}, not an object`);
  const object = found as JsonObject;
  // An error in place of a result is what people want to read first.
  const keys = Object.keys(fields);
  if (!keys.includes("error") && object["error"] !== undefined && keys.length > 0)
    return wrong(`is an error: ${show(object["error"])}`);
  return firstOf(
    keys.map((key) => () => findMismatch(fields[key] as Json, object[key], place === "" ? key : `${place}.${key}`)),
  );
}

function applyOperator(operator: string, wanted: Json, found: Json): string | undefined {
  const is = (holds: boolean, what: string): string | undefined =>
    holds ? undefined : `is ${show(found)}, not ${what}`;
  switch (operator) {
    case "$close": {
      const error = relativeError(toNumbers(found), toNumbers(wanted));
      return error <= tolerance ? undefined : `is off by ${error.toExponential(1)}: ${show(found)} for ${show(wanted)}`;
    }
    case "$contains":
      return is(typeof found === "string" && found.includes(String(wanted)), `a text with ${show(wanted)}`);
    case "$matches":
      return is(typeof found === "string" && new RegExp(String(wanted)).test(found), `a text like ${show(wanted)}`);
    case "$least":
      return is(typeof found === "number" && found >= Number(wanted), `${show(wanted)} at least`);
    case "$below":
      return is(typeof found === "number" && found < Number(wanted), `below ${show(wanted)}`);
    case "$length":
      return is(Array.isArray(found) && found.length === wanted, `a list of ${show(wanted)}`);
    case "$some":
      return is(
        Array.isArray(found) && found.some((item: Json) => findMismatch(wanted, item) === undefined),
        `a list with ${show(wanted)}`,
      );
    default:
      throw new Error(`no operator ${operator}`);
  }
}

function toNumbers(value: Json): number[] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((item: Json) => (typeof item === "number" ? item : Number.NaN));
}

function firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const problem = check();
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function show(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

import { listSome } from "../errors/list-some.js";
import { InvalidInputError, LimitExceededError } from "../errors/probestream-error.js";
import { assertText, quoteText } from "./assert-text.js";
import { isRecordField, type KnownFields } from "./field-value.js";
import { type Comparison, type Filter, recordFields, type Scalar } from "./filter.js";

/** Levels of a filter at most; a condition alone is one. */
export const maxFilterDepth = 64;
/** Comparisons and `exists` of a filter at most. */
export const maxFilterConditions = 1000;
/** Values of all `in` of a filter at most. */
export const maxFilterValues = 10_000;
/** UTF-16 units of a value at most. */
const maxValueUnits = 65_536;
/** UTF-16 units of a field's name at most. */
const maxFieldUnits = 512;
/** Fields that a message lists. */
const maxListed = 48;

const comparisons: ReadonlySet<Comparison> = new Set(["eq", "ne", "in", "lt", "lte", "gt", "gte"]);
const orders: ReadonlySet<Comparison> = new Set(["lt", "lte", "gt", "gte"]);

/**
 * Asserts that a filter means something: at most {@link maxFilterDepth} levels and {@link maxFilterConditions} conditions,
 * fields that a record of the space has, values that can be compared. It may come from outside: nothing is taken for
 * granted about its form.
 *
 * @param known the space's fields, as `VectorStore.fields` gives them.
 * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`.
 */
export function assertFilter(filter: Filter, known: KnownFields): void {
  const counts = { conditions: 0, values: 0 };

  const visit = (node: Filter, depth: number): void => {
    if (depth > maxFilterDepth) throw tooMany("levels", maxFilterDepth);
    if (typeof node !== "object" || node === null) throw invalid(`a condition is ${String(node)}`);
    if ("not" in node) visit(node.not, depth + 1);
    else if ("and" in node) visitAll(node.and, "and", depth);
    else if ("or" in node) visitAll(node.or, "or", depth);
    else {
      if (++counts.conditions > maxFilterConditions) throw tooMany("conditions", maxFilterConditions);
      if ("exists" in node) assertField(node.exists, known);
      else visitComparison(node);
    }
  };

  const visitAll = (nodes: readonly Filter[], name: string, depth: number): void => {
    if (!Array.isArray(nodes) || nodes.length === 0) throw invalid(`\`${name}\` takes one condition at least`);
    for (const node of nodes) visit(node, depth + 1);
  };

  const visitComparison = (node: Extract<Filter, { field: string }>): void => {
    if (!("field" in node)) throw invalid("a condition is none of and, or, not, exists and a comparison");
    const { field, op } = node;
    assertField(field, known);
    if (!comparisons.has(op)) throw invalid(`the comparison ${quoteText(String(op))} is not known`);
    const isList = op === "in";
    const values = isList ? node.value : [node.value as Scalar];
    if (!Array.isArray(values) || values.length === 0) {
      throw invalid(`\`in\` of ${quoteText(field)} takes a list of values, one at least`);
    }
    counts.values += isList ? values.length : 0;
    if (counts.values > maxFilterValues) throw tooMany("values of `in`", maxFilterValues);
    for (const value of values) assertValue(field, op, value);
  };

  visit(filter, 1);
}

function assertField(field: string, known: KnownFields): void {
  assertText(field, "a field of the filter", maxFieldUnits);
  if (isRecordField(field) || known.has(field)) return;
  const names = listSome([...Object.keys(recordFields), ...known.keys()], maxListed);
  const message = `no model of the space has the field ${quoteText(field)}; there are ${names}`;
  throw new InvalidInputError("FIELD_INVALID", message, { field });
}

function assertValue(field: string, op: Comparison, value: Scalar): void {
  const what = `the value that ${quoteText(field)} is compared with`;
  if (typeof value === "string") {
    assertText(value, what, maxValueUnits);
    return;
  }
  if (typeof value === "boolean" && !orders.has(op)) return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  const allowed = orders.has(op) ? "a text or a finite number" : "a text, a finite number or a boolean";
  throw invalid(`${what} is ${String(value)}; \`${op}\` takes ${allowed}`);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", `the filter is wrong: ${message}`);
}

function tooMany(what: string, limit: number): LimitExceededError {
  return new LimitExceededError("LIMIT_EXCEEDED", `the filter has more than ${limit} ${what}; split the query`, {
    limit,
  });
}

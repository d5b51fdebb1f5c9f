import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
import { showValue } from "../../errors/show-value.js";
import {
  Comparison,
  type FieldCondition,
  type FilterList,
  FilterSchema,
  type MetadataValueSchema,
  type Filter as WireFilter,
  type MetadataValue as WireValue,
} from "../../gen/probestream/v1/catalogue_service_pb.js";
import { maxFilterDepth } from "../../vectors/assert-filter.js";
import type { Comparison as ComparisonName, Filter, Scalar } from "../../vectors/filter.js";

const comparisons = {
  eq: Comparison.EQ,
  ne: Comparison.NE,
  in: Comparison.IN,
  lt: Comparison.LT,
  lte: Comparison.LTE,
  gt: Comparison.GT,
  gte: Comparison.GTE,
} as const satisfies Record<ComparisonName, Comparison>;
const names = Object.keys(comparisons) as ComparisonName[];

/**
 * A filter from the wire; whether its fields exist is the store's to say.
 *
 * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`.
 */
export function fromWireFilter(filter: WireFilter | undefined): Filter | undefined {
  return filter === undefined ? undefined : fromNode(filter, 1);
}

function fromNode({ kind }: WireFilter, depth: number): Filter {
  if (depth > maxFilterDepth) {
    throw new LimitExceededError(
      "LIMIT_EXCEEDED",
      `the filter has more than ${maxFilterDepth} levels; split the query`,
      {
        limit: maxFilterDepth,
      },
    );
  }
  const fromList = ({ filters }: FilterList): Filter[] => filters.map((one) => fromNode(one, depth + 1));
  switch (kind.case) {
    case "and":
      return { and: fromList(kind.value) };
    case "or":
      return { or: fromList(kind.value) };
    case "not":
      return { not: fromNode(kind.value, depth + 1) };
    case "exists":
      return { exists: kind.value };
    case "condition":
      return fromCondition(kind.value);
    default:
      throw invalid("a condition is none of and, or, not, exists and a comparison");
  }
}

function fromCondition({ field, comparison, values }: FieldCondition): Filter {
  const op = names.find((name) => comparisons[name] === comparison);
  if (op === undefined) throw invalid(`the comparison of "${field.slice(0, 80)}" is ${comparison}, which is none`);
  const scalars = values.map((value) => fromWireValue(value, `a value that "${field.slice(0, 80)}" is compared with`));
  if (op === "in") return { field, op, value: scalars };
  const [value, ...others] = scalars;
  if (value !== undefined && others.length === 0) return { field, op, value };
  throw invalid(`the comparison of "${field.slice(0, 80)}" has ${values.length} values; \`${op}\` takes one`);
}

/**
 * A filter for the wire.
 *
 * @throws InvalidInputError `FIELD_INVALID` for what is none: programs without types give texts and objects of other forms.
 */
export function toWireFilter(filter: Filter): WireFilter {
  if (!isFilter(filter)) throw noFilter(filter);
  if ("and" in filter) {
    return create(FilterSchema, { kind: { case: "and", value: { filters: filter.and.map(toWireFilter) } } });
  }
  if ("or" in filter) {
    return create(FilterSchema, { kind: { case: "or", value: { filters: filter.or.map(toWireFilter) } } });
  }
  if ("not" in filter) return create(FilterSchema, { kind: { case: "not", value: toWireFilter(filter.not) } });
  if ("exists" in filter) return create(FilterSchema, { kind: { case: "exists", value: filter.exists } });
  const { field, op } = filter;
  const what = `a value that "${field.slice(0, 80)}" is compared with`;
  const values = (op === "in" ? filter.value : [filter.value]).map((value) => toWireValue(value, what));
  return create(FilterSchema, { kind: { case: "condition", value: { field, comparison: comparisons[op], values } } });
}

/** Whether something has the form of a filter, as far as it is looked at here. */
function isFilter(given: unknown): given is Filter {
  if (typeof given !== "object" || given === null) return false;
  const { and, or, not, exists, field, op, value } = given as Readonly<Record<string, unknown>>;
  if (and !== undefined || or !== undefined) return Array.isArray(and ?? or);
  if (not !== undefined || exists !== undefined) return not !== undefined || typeof exists === "string";
  if (typeof field !== "string" || typeof op !== "string" || !Object.hasOwn(comparisons, op)) return false;
  return (op === "in") === Array.isArray(value);
}

function noFilter(given: unknown): InvalidInputError {
  const { field, op, value } = Object(given) as Readonly<Record<string, unknown>>;
  if (typeof field !== "string" || op === undefined) {
    const message = `a filter is given as ${showValue(given)}; give { field, op, value }, or { and }, { or }, { not } or { exists }`;
    return invalid(message);
  }
  const compares = `a filter compares "${field.slice(0, 80)}" by ${showValue(op)}`;
  if (typeof op !== "string" || !Object.hasOwn(comparisons, op)) {
    return invalid(`${compares}; comparisons are ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
  }
  const wanted = op === "in" ? "a list of values" : "one value, and a list is for in";
  return invalid(`${compares} with ${showValue(value)}; it takes ${wanted}`);
}

/** A value from the wire. `what` it is, for messages. */
export function fromWireValue({ kind }: WireValue, what: string): Scalar {
  if (kind.case === undefined) throw invalid(`${what} is not set`);
  return kind.value;
}

/**
 * A value for the wire. `what` it is, for messages.
 *
 * @throws InvalidInputError `FIELD_INVALID` for what is none: programs without types give lists, dates and null.
 */
export function toWireValue(value: Scalar, what: string): MessageInitShape<typeof MetadataValueSchema> {
  if (typeof value === "string") return { kind: { case: "text", value } };
  if (typeof value === "boolean") return { kind: { case: "truth", value } };
  if (typeof value === "number" && Number.isFinite(value)) return { kind: { case: "number", value } };
  throw invalid(`${what} is ${showValue(value)}; it must be a text, a finite number or a boolean`);
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}

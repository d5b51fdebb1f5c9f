import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";
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

/** A filter for the wire. */
export function toWireFilter(filter: Filter): WireFilter {
  if ("and" in filter) {
    return create(FilterSchema, { kind: { case: "and", value: { filters: filter.and.map(toWireFilter) } } });
  }
  if ("or" in filter) {
    return create(FilterSchema, { kind: { case: "or", value: { filters: filter.or.map(toWireFilter) } } });
  }
  if ("not" in filter) return create(FilterSchema, { kind: { case: "not", value: toWireFilter(filter.not) } });
  if ("exists" in filter) return create(FilterSchema, { kind: { case: "exists", value: filter.exists } });
  const { field, op } = filter;
  const values = (op === "in" ? filter.value : [filter.value]).map(toWireValue);
  return create(FilterSchema, { kind: { case: "condition", value: { field, comparison: comparisons[op], values } } });
}

/** A value from the wire. `what` it is, for messages. */
export function fromWireValue({ kind }: WireValue, what: string): Scalar {
  if (kind.case === undefined) throw invalid(`${what} is not set`);
  return kind.value;
}

/** A value for the wire. */
export function toWireValue(value: Scalar): MessageInitShape<typeof MetadataValueSchema> {
  switch (typeof value) {
    case "string":
      return { kind: { case: "text", value } };
    case "number":
      return { kind: { case: "number", value } };
    default:
      return { kind: { case: "truth", value } };
  }
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}

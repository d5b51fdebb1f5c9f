import { maxNumberUnits, numberPattern } from "../../claim-number.js";
import { isClaimField, isOftenEmpty, isRecordField, prefixes } from "../../field-value.js";
import { type Comparison, type Filter, recordFields, type Scalar } from "../../filter.js";
import type { SqlValues } from "./sql-values.js";

/** Up to so many values of `in` are looked up one by one in the index of metadata; more are compared row by row. */
const maxIndexedValues = 16;

const operators = { lt: "<", lte: "<=", gt: ">", gte: ">=" } as const satisfies Partial<Record<Comparison, string>>;

type Condition = Extract<Filter, { field: string }>;

/**
 * A filter as an SQL condition on a row of a space's table. It is true or false for every row, never NULL, so that `NOT`
 * means what it says. Whatever comes from outside is a value of the statement, never part of its text.
 *
 * @param filter one that `assertFilter` has seen.
 * @param values takes the statement's values.
 */
export function toFilterSql(filter: Filter, values: SqlValues): string {
  if ("and" in filter) return `(${filter.and.map((one) => toFilterSql(one, values)).join(" AND ")})`;
  if ("or" in filter) return `(${filter.or.map((one) => toFilterSql(one, values)).join(" OR ")})`;
  if ("not" in filter) return `(NOT ${toFilterSql(filter.not, values)})`;
  if ("exists" in filter) {
    const field = toJsonField(filter.exists);
    if (field !== undefined) return `(${field.column} ? ${values.add(field.name)}::text)`;
    return isOftenEmpty(filter.exists) ? `(${filter.exists} <> '')` : "TRUE";
  }
  // `ne` is "not `eq`", for rows without the field too.
  if (filter.op === "ne") return `(NOT ${toFilterSql({ ...filter, op: "eq" }, values)})`;
  if (isRecordField(filter.field)) return compareColumn(filter, values);
  return isClaimField(filter.field) ? compareClaim(filter, values) : compareJson(filter, values);
}

/** A comparison with a column. */
function compareColumn({ field, op, value }: Condition, values: SqlValues): string {
  const type = isRecordField(field) ? recordFields[field] : "string";
  const sqlType = type === "string" ? 'text COLLATE "C"' : "numeric";
  const column = type === "string" ? field : `${field}::numeric`;
  const wanted = (op === "in" ? value : [value as Scalar]).filter((one) => typeof one === type).map(String);
  // Values of another type are never equal, and have no order.
  if (wanted.length === 0) return "FALSE";
  if (op === "eq" || op === "in")
    return `(${column} = ANY(${values.add(wanted)}::${type === "string" ? "text" : sqlType}[]))`;
  if (op === "ne") return "TRUE";
  return `(${column} ${operators[op]} ${values.add(wanted[0] ?? "")}::${sqlType})`;
}

/** A comparison with a claim, which is a text, and a number where a number is asked for and the text is one. */
function compareClaim(condition: Condition, values: SqlValues): string {
  const { field, op, value } = condition;
  const wanted = op === "in" ? value : [value as Scalar];
  const numbers = wanted.filter((one) => typeof one === "number").map(String);
  if (numbers.length === 0) return compareJson(condition, values);
  const claim = `(claims ->> ${values.add(field.slice(prefixes.claims.length))}::text)`;
  // CASE, so that nothing else is cast. IS TRUE keeps the planner's estimate of a comparison; COALESCE has none.
  const number = `(CASE WHEN length(${claim}) <= ${maxNumberUnits} AND ${claim} ~ '${numberPattern}' THEN ${claim}::numeric END)`;
  const compare = (sql: string): string => `((${number} ${sql}) IS TRUE)`;
  if (op !== "eq" && op !== "ne" && op !== "in") {
    return compare(`${operators[op]} ${values.add(numbers[0] ?? "")}::numeric`);
  }
  const isNumber = compare(`= ANY(${values.add(numbers)}::numeric[])`);
  const others = wanted.filter((one) => typeof one !== "number");
  if (others.length === 0) return isNumber;
  return `(${isNumber} OR ${compareJson({ field, op: "in", value: others }, values)})`;
}

/** A comparison with a value in metadata or claims. */
function compareJson(condition: Condition, values: SqlValues): string {
  const field = toJsonField(condition.field);
  if (field === undefined) return "FALSE";
  const { column, name } = field;
  // Containment and paths have estimates, and containment an index: the planner knows how many rows to expect.
  const contains = (value: Scalar): string =>
    `${column} @> ${values.add(JSON.stringify(Object.fromEntries([[name, value]])))}::jsonb`;
  switch (condition.op) {
    case "eq":
      return `(${contains(condition.value)})`;
    case "ne":
      return `(NOT ${contains(condition.value)})`;
    case "in": {
      const { value } = condition;
      if (value.length <= maxIndexedValues) return `(${value.map(contains).join(" OR ")})`;
      const list = values.add(value.map((one) => JSON.stringify(one)));
      return `COALESCE(${column} -> ${values.add(name)}::text = ANY(${list}::jsonb[]), FALSE)`;
    }
    default: {
      // A path compares values of one type only: texts by code points, numbers exactly. Its literals are those of JSON.
      const path = `$.${JSON.stringify(name)} ? (@ ${operators[condition.op]} ${JSON.stringify(condition.value)})`;
      return `(${column} @? ${values.add(path)}::jsonpath)`;
    }
  }
}

function toJsonField(field: string): { readonly column: string; readonly name: string } | undefined {
  for (const [column, prefix] of Object.entries(prefixes)) {
    if (field.startsWith(prefix)) return { column, name: field.slice(prefix.length) };
  }
  return undefined;
}

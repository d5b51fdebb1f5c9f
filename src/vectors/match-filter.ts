import { compareClaimNumber, parseClaimNumber } from "./claim-number.js";
import { compareText } from "./compare-text.js";
import { type FilterRecord, fieldValue, isClaimField, isOftenEmpty } from "./field-value.js";
import type { Comparison, Filter, Scalar } from "./filter.js";

/** A filter that looks at one field. */
export type Condition = Exclude<Filter, { and: unknown } | { or: unknown } | { not: unknown }>;

/** Whether a filter holds for a record. */
export function matchFilter(filter: Filter, record: FilterRecord): boolean {
  if ("and" in filter) return filter.and.every((one) => matchFilter(one, record));
  if ("or" in filter) return filter.or.some((one) => matchFilter(one, record));
  if ("not" in filter) return !matchFilter(filter.not, record);
  return matchCondition(filter, fieldValue(record, "exists" in filter ? filter.exists : filter.field));
}

/** Whether a condition holds for the value of its field; undefined where the record has none. */
export function matchCondition(condition: Condition, found: Scalar | undefined): boolean {
  if ("exists" in condition) return found !== undefined && !(found === "" && isOftenEmpty(condition.exists));
  const { field, op, value } = condition;
  const values = (op === "in" ? value : [value]) as readonly Scalar[];
  if (op === "ne") return !isAmong(values, found, field);
  if (op === "eq" || op === "in") return isAmong(values, found, field);
  if (found === undefined) return false;
  return isInOrder(op, compareValues(found, value as Scalar, field));
}

function isAmong(values: readonly Scalar[], found: Scalar | undefined, field: string): boolean {
  if (found === undefined) return false;
  if (values.includes(found)) return true;
  const claim = toClaimNumber(found, field);
  return claim !== undefined && values.some((one) => typeof one === "number" && compareClaimNumber(claim, one) === 0);
}

function isInOrder(op: Exclude<Comparison, "eq" | "ne" | "in">, order: number): boolean {
  switch (op) {
    case "lt":
      return order < 0;
    case "lte":
      return order <= 0;
    case "gt":
      return order > 0;
    case "gte":
      return order >= 0;
  }
}

/** Below 0, 0, above 0; NaN for values that have no order between them. */
function compareValues(found: Scalar, value: Scalar, field: string): number {
  if (typeof found === "number" && typeof value === "number") return found - value;
  if (typeof found === "string" && typeof value === "string") return compareText(found, value);
  const claim = typeof value === "number" ? toClaimNumber(found, field) : undefined;
  return claim === undefined ? Number.NaN : compareClaimNumber(claim, value as number);
}

function toClaimNumber(found: Scalar, field: string): ReturnType<typeof parseClaimNumber> {
  return typeof found === "string" && isClaimField(field) ? parseClaimNumber(found) : undefined;
}

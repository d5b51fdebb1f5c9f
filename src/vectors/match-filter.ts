import { compareText } from "./compare-text.js";
import { type FilterRecord, fieldValue } from "./field-value.js";
import type { Comparison, Filter, Scalar } from "./filter.js";

/** Whether a filter holds for a record. */
export function matchFilter(filter: Filter, record: FilterRecord): boolean {
  if ("and" in filter) return filter.and.every((one) => matchFilter(one, record));
  if ("or" in filter) return filter.or.some((one) => matchFilter(one, record));
  if ("not" in filter) return !matchFilter(filter.not, record);
  if ("exists" in filter) return fieldValue(record, filter.exists) !== undefined;
  return matchValue(filter, fieldValue(record, filter.field));
}

/** Whether a comparison holds for the value of its field. */
export function matchValue(
  condition: { readonly op: Comparison; readonly value: Scalar | readonly Scalar[] },
  found: Scalar | undefined,
): boolean {
  const { op, value } = condition;
  if (op === "ne") return found !== value;
  if (found === undefined) return false;
  if (op === "eq") return found === value;
  if (op === "in") return (value as readonly Scalar[]).includes(found);
  const order = compareValues(found, value as Scalar);
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
function compareValues(a: Scalar, b: Scalar): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  return Number.NaN;
}

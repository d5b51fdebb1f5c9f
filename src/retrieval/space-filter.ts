import { isRecordField } from "../vectors/field-value.js";
import type { Filter } from "../vectors/filter.js";

/** Holds for every record. */
const always: Filter = { exists: "id" };
const never: Filter = { not: always };

/** Fields of metadata and claims that a filter names. */
export function fieldsOf(filter: Filter): ReadonlySet<string> {
  const fields = new Set<string>();
  const visit = (node: Filter): void => {
    if ("not" in node) visit(node.not);
    else if ("and" in node) node.and.forEach(visit);
    else if ("or" in node) node.or.forEach(visit);
    else {
      const field = "exists" in node ? node.exists : node.field;
      if (!isRecordField(field)) fields.add(field);
    }
  };
  visit(filter);
  return fields;
}

/**
 * The filter of a query in one of its several spaces. A store refuses a field that no record of the space has; where the
 * records of another have it, a condition on it does not hold here, and `ne` does.
 *
 * @param known fields that the filter names and records of this space have.
 * @param elsewhere those that records of any space of the query have.
 */
export function toSpaceFilter(filter: Filter, known: ReadonlySet<string>, elsewhere: ReadonlySet<string>): Filter {
  const convert = (node: Filter): Filter => {
    if ("not" in node) return { not: convert(node.not) };
    if ("and" in node) return { and: node.and.map(convert) };
    if ("or" in node) return { or: node.or.map(convert) };
    const field = "exists" in node ? node.exists : node.field;
    if (isRecordField(field) || known.has(field) || !elsewhere.has(field)) return node;
    return "op" in node && node.op === "ne" ? always : never;
  };
  return convert(filter);
}

/** A query's filter with its restriction to trees. */
export function withTrees(filter: Filter | undefined, trees: readonly string[]): Filter | undefined {
  if (trees.length === 0) return filter;
  const ofTrees: Filter = { field: "tree", op: "in", value: trees };
  return filter === undefined ? ofTrees : { and: [ofTrees, filter] };
}

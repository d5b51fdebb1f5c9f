import type { Comparison, Filter, Scalar } from "../../../src/vectors/filter.js";

/**
 * Compares a field: `id`, `tree`, `base`, `created_ms`, `meta.NAME`, `claim.NAME` and others that the contract lists; by `eq`,
 * `ne`, `lt`, `lte`, `gt` or `gte`.
 */
export function where(field: string, op: Exclude<Comparison, "in">, value: Scalar): Filter;
/** Holds where the field has one of some values. */
export function where(field: string, op: "in", values: readonly Scalar[]): Filter;
export function where(field: string, op: Comparison, value: Scalar | readonly Scalar[]): Filter {
  return { field, op, value } as Filter;
}

/** Holds where all filters do. */
export function and(...filters: readonly Filter[]): Filter {
  return { and: filters };
}

/** Holds where one filter does. */
export function or(...filters: readonly Filter[]): Filter {
  return { or: filters };
}

/** Holds where the filter does not. */
export function not(filter: Filter): Filter {
  return { not: filter };
}

/** Holds where the model has the field; a tree, a base and hashes exist where they are not empty. */
export function exists(field: string): Filter {
  return { exists: field };
}

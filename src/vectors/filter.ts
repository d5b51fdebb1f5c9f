/** A value of a metadata field. */
export type Scalar = string | number | boolean;

/** How a field is compared. `in` takes a list; `lt` to `gte` take numbers and texts, which compare by their UTF-8 bytes. */
export type Comparison = "eq" | "ne" | "in" | "lt" | "lte" | "gt" | "gte";

/** What is known of a model beside its metadata and what its file claims; fields of these names stand for themselves. */
export const recordFields = {
  id: "string",
  weights_hash: "string",
  file_hash: "string",
  tree: "string",
  base: "string",
  created_ms: "number",
  updated_ms: "number",
} as const;

/**
 * A condition on records: a small expression tree.
 *
 * A field is one of {@link recordFields}; or `meta.NAME`, what the user said of the model; or `claim.NAME`, what its file
 * says. A comparison holds only for a value of the same type; where the record has no such field it does not hold, so that
 * `ne`, which is "not `eq`", does. Claims are texts: compared with a number, those whose whole text is a decimal number are
 * taken for numbers ("30" and "30.0" equal 30), and of the others the comparison does not hold.
 *
 * `exists` holds for metadata and claims that a record has, empty or not, and for hashes, a tree and a base that are not
 * empty.
 */
export type Filter =
  | { readonly and: readonly Filter[] }
  | { readonly or: readonly Filter[] }
  | { readonly not: Filter }
  | { readonly exists: string }
  | { readonly field: string; readonly op: Exclude<Comparison, "in">; readonly value: Scalar }
  | { readonly field: string; readonly op: "in"; readonly value: readonly Scalar[] };

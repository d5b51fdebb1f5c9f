import type { ModelRecord } from "../retrieval/retrieval-port.js";
import { recordFields } from "../vectors/filter.js";

const ownFields: Readonly<Record<string, (record: ModelRecord) => string>> = {
  id: ({ id }) => id,
  weights_hash: ({ weightsHash }) => weightsHash,
  file_hash: ({ fileHash }) => fileHash,
  tree: ({ tree }) => tree,
  base: ({ base }) => base,
  created_ms: ({ createdMs }) => new Date(createdMs).toISOString(),
  updated_ms: ({ updatedMs }) => new Date(updatedMs).toISOString(),
};

/** What a record has in a field, named as in a filter, for people; times as dates, and nothing where it has none. */
export function toFieldText(record: ModelRecord, field: string): string {
  const own = Object.hasOwn(ownFields, field) ? ownFields[field] : undefined;
  if (own !== undefined) return own(record);
  const from: Readonly<Record<string, unknown>> = field.startsWith("meta.") ? record.metadata : record.claims;
  const name = field.slice(field.indexOf(".") + 1);
  return Object.hasOwn(from, name) ? String(from[name]) : "";
}

/** Fields that every record has, as filters name them. */
export const ownFieldNames: readonly string[] = Object.keys(ownFields);

/** Whether filters may name a field so: one that every record has, or one of metadata or of what a file claims. */
export function isFieldName(name: string): boolean {
  return Object.hasOwn(recordFields, name) || /^(?:meta|claim)\../s.test(name);
}

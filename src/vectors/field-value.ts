import { recordFields, type Scalar } from "./filter.js";
import type { VectorRecord } from "./vector-record.js";

/** Type of a field's value. */
export type ScalarType = "string" | "number" | "boolean";

/** Fields of a space's metadata and claims, as filters name them, with the types of their values. */
export type KnownFields = ReadonlyMap<string, readonly ScalarType[]>;

/** What filters look at; a record without its representation has it all. */
export type FilterRecord = Omit<VectorRecord, "vector">;

/** What begins the name of a field that the user said, and of one that the file says. */
export const prefixes = { metadata: "meta.", claims: "claim." } as const;

const readers: Readonly<Record<keyof typeof recordFields, (record: FilterRecord) => Scalar>> = {
  id: (record) => record.id,
  weights_hash: (record) => record.weightsHash,
  file_hash: (record) => record.fileHash,
  tree: (record) => record.tree,
  base: (record) => record.base,
  created_ms: (record) => record.createdMs,
  updated_ms: (record) => record.updatedMs,
};

/** Whether a field is one that every record has. */
export function isRecordField(field: string): field is keyof typeof recordFields {
  return Object.hasOwn(recordFields, field);
}

/** Whether a field is one that the file says. */
export function isClaimField(field: string): boolean {
  return field.startsWith(prefixes.claims);
}

/** Whether a field is one that every record has, but empty where it is not known: it exists where it is not empty. */
export function isOftenEmpty(field: string): boolean {
  return isRecordField(field) && field !== "id" && recordFields[field] === "string";
}

/** A field's value by the name that filters use; undefined where the record has none. */
export function fieldValue(record: FilterRecord, field: string): Scalar | undefined {
  if (isRecordField(field)) return readers[field](record);
  if (field.startsWith(prefixes.metadata)) return ownValue(record.metadata, field.slice(prefixes.metadata.length));
  if (isClaimField(field)) return ownValue(record.claims, field.slice(prefixes.claims.length));
  return undefined;
}

/** A record's fields of metadata and claims, named as filters do. */
export function* namedFields({ metadata, claims }: FilterRecord): Generator<[string, Scalar]> {
  for (const [name, value] of Object.entries(metadata)) yield [prefixes.metadata + name, value];
  for (const [name, value] of Object.entries(claims)) yield [prefixes.claims + name, value];
}

/** Type of a value. */
export function toScalarType(value: Scalar): ScalarType {
  return typeof value as ScalarType;
}

function ownValue(values: Readonly<Record<string, Scalar>>, name: string): Scalar | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

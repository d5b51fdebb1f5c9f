import type { NewRecord } from "./vector-record.js";

/** A record whose owner may do with it as it likes. */
export function copyRecord<R extends NewRecord>(record: R): R {
  const { vector, metadata, claims } = record;
  return { ...record, vector: vector.slice(), metadata: { ...metadata }, claims: { ...claims } };
}

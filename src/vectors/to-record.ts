import type { NewRecord, VectorRecord } from "./vector-record.js";

/**
 * The record that a store keeps of one that is written.
 *
 * @param old the record of that id that is there.
 * @param nowMs the time, in milliseconds since 1970.
 */
export function toRecord(
  record: NewRecord,
  old: { readonly createdMs: number } | undefined,
  nowMs: number,
): VectorRecord {
  const { id, vector, weightsHash, fileHash, tree, base, metadata, claims } = record;
  const createdMs = record.createdMs ?? old?.createdMs ?? nowMs;
  const updatedMs = record.updatedMs ?? nowMs;
  return { id, vector, weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs };
}

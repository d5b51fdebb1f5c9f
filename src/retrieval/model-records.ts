import type { NewRecord, VectorRecord } from "../vectors/vector-record.js";
import type { FullRecord, ModelRecord } from "./retrieval-port.js";

/** A record in its space, without its representation. */
export function toModelRecord(spaceId: string, { vector: _, ...record }: VectorRecord): ModelRecord {
  return { ...record, spaceId };
}

/** A record in its space. */
export function toFullRecord(spaceId: string, record: VectorRecord): FullRecord {
  return { ...record, spaceId };
}

/** Bytes that a record takes on the wire and, about, in memory. */
export function recordBytes({ id, vector, base, tree, metadata, claims }: NewRecord): number {
  let bytes = 320 + vector.byteLength + 3 * (id.length + base.length + tree.length);
  for (const [name, value] of Object.entries(metadata)) bytes += 24 + textBytes(name) + textBytes(value);
  for (const [name, value] of Object.entries(claims)) bytes += 16 + textBytes(name) + textBytes(value);
  return bytes;
}

function textBytes(value: string | number | boolean): number {
  return typeof value === "string" ? Buffer.byteLength(value) : 8;
}

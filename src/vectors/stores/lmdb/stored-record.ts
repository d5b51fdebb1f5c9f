import type { FilterRecord } from "../../field-value.js";
import type { VectorRecord } from "../../vector-record.js";

/** A record of the table `records`: where its representation is, and all the rest. */
export interface StoredRecord {
  readonly slot: number;
  readonly record: FilterRecord;
}

/** Bytes of a number in a value. */
const slotBytes = 4;

/** Value of the table `records`. */
export function encodeRecord(slot: number, record: FilterRecord): Buffer {
  const { weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs } = record;
  const text = JSON.stringify({ weightsHash, fileHash, tree, base, metadata, claims, createdMs, updatedMs });
  const value = Buffer.allocUnsafe(slotBytes + Buffer.byteLength(text));
  value.writeUInt32LE(slot);
  value.write(text, slotBytes);
  return value;
}

/** Record of a value of the table `records`. */
export function decodeRecord(id: string, value: Buffer): StoredRecord {
  const rest: Omit<FilterRecord, "id"> = JSON.parse(value.toString("utf8", slotBytes));
  return { slot: decodeSlot(value), record: { id, ...rest } };
}

/** Slot of a value of the table `records`. */
export function decodeSlot(value: Buffer): number {
  return value.readUInt32LE();
}

/** Value of the table `vectors`. */
export function encodeVector(vector: Float32Array, id: string): Buffer {
  const bytes = vector.byteLength;
  const value = Buffer.allocUnsafe(bytes + Buffer.byteLength(id));
  value.set(new Uint8Array(vector.buffer, vector.byteOffset, bytes));
  value.write(id, bytes);
  return value;
}

/** Id of a value of the table `vectors`. */
export function decodeVectorId(value: Buffer, width: number): string {
  return value.toString("utf8", 4 * width);
}

/** A record with its representation. */
export function joinRecord({ record }: StoredRecord, value: Buffer, width: number): VectorRecord {
  const vector = new Float32Array(width);
  value.copy(new Uint8Array(vector.buffer), 0, 0, vector.byteLength);
  const { id, ...rest } = record;
  return { id, vector, ...rest };
}

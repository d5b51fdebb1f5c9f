import { logChanges } from "./change-log.js";
import type { Tables } from "./database.js";
import { toRecordKey, toSlotKey } from "./keys.js";
import { openSlots } from "./slots.js";
import { requireSpace, writeSpace } from "./space-table.js";
import { decodeRecord, decodeVectorId, encodeRecord } from "./stored-record.js";

/** Slots given up in one transaction: some ten milliseconds, for which other writers wait. */
const slotsPerStep = 1000;

/**
 * Takes slots from the end of a space, a thousand at most; their records move to free ones before. In a transaction.
 * Tells whether there is more to do.
 */
export function compactSpace(tables: Tables, spaceId: string): boolean {
  const space = requireSpace(tables, spaceId);
  const { number, count, slotEnd, width } = space;
  const end = Math.max(count, slotEnd - slotsPerStep);
  if (end === slotEnd) return false;
  // Those that lie at the end are given up themselves.
  for (let slot = end; slot < slotEnd; slot++) tables.free.removeSync(toSlotKey(number, slot));
  const slots = openSlots(tables, space);
  const changed: number[] = [];
  for (let slot = end; slot < slotEnd; slot++) {
    const key = toSlotKey(number, slot);
    const vector = tables.vectors.getBinary(key);
    if (vector === undefined) continue;
    const id = decodeVectorId(vector, width);
    const target = slots.take();
    const recordKey = toRecordKey(number, id);
    const value = tables.records.getBinary(recordKey);
    if (value !== undefined) tables.records.putSync(recordKey, encodeRecord(target, decodeRecord(id, value).record));
    tables.vectors.putSync(toSlotKey(number, target), vector);
    tables.vectors.removeSync(key);
    changed.push(slot, target);
  }
  writeSpace(tables, { ...space, slotEnd: end });
  logChanges(tables, [{ space: number, slots: changed }]);
  return end > count;
}

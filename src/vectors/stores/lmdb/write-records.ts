import { applyPatch } from "../../apply-patch.js";
import { assertRecords, maxIdUnits } from "../../assert-records.js";
import { isStorableText } from "../../assert-text.js";
import { toOwnFirst } from "../../compare-spaces.js";
import { type KnownFacts, mergeKnown } from "../../merge-known.js";
import { toRecord } from "../../to-record.js";
import type { NewRecord } from "../../vector-record.js";
import type { KeepKnown, MetadataPatch } from "../../vector-store.js";
import { type Change, logChanges } from "./change-log.js";
import type { Tables } from "./database.js";
import { openFieldCounts } from "./field-counts.js";
import { toRecordKey, toSlotKey, toWeightsKey } from "./keys.js";
import { openSlots } from "./slots.js";
import { readSpaces, requireSpace, type StoredSpace, writeSpace } from "./space-table.js";
import { decodeRecord, encodeRecord, encodeVector, type StoredRecord } from "./stored-record.js";

/** What the table `weights` keeps of a record: something. */
const mark = Buffer.of(1);

/**
 * Writes records, with what is known of their models where that is to be kept. In a transaction; throws before it writes
 * anything.
 */
export function upsertRecords(
  tables: Tables,
  spaceId: string,
  given: readonly NewRecord[],
  keepKnown?: KeepKnown,
): void {
  const space = requireSpace(tables, spaceId);
  assertRecords(given, space.width);
  if (given.length === 0) return;
  const nowMs = Date.now();
  const records =
    keepKnown === undefined ? given : mergeKnown(given, readKnown(tables, space, given), keepKnown, nowMs);
  // Of records with one id only the last is written, but each counts on what was there before the call.
  const last = new Map(records.map((record) => [record.id, record]));
  const counts = openFieldCounts(tables, space.number);
  const slots = openSlots(tables, space);
  const changed: number[] = [];
  let added = 0;
  for (const record of last.values()) {
    const old = readRecord(tables, space, record.id);
    const slot = old?.slot ?? slots.take();
    const written = toRecord(record, old?.record, nowMs);
    putRecord(tables, space, { slot, record: written }, old);
    tables.vectors.putSync(toSlotKey(space.number, slot), encodeVector(written.vector, record.id));
    if (old === undefined) added++;
    else counts.add(old.record, -1);
    counts.add(written, 1);
    changed.push(slot);
  }
  counts.write();
  writeSpace(tables, { ...space, count: space.count + added, slotEnd: slots.end });
  logChanges(tables, [{ space: space.number, slots: changed }]);
}

/** What is known of models: by the space that they go to, else by the first other one that has them. */
function readKnown(tables: Tables, own: StoredSpace, wanted: readonly NewRecord[]): Map<string, KnownFacts> {
  const filled = readSpaces(tables).filter(({ count }) => count > 0);
  const order = toOwnFirst(own, filled);
  const known = new Map<string, KnownFacts>();
  for (const { id } of wanted) {
    for (const space of order) {
      const found = readRecord(tables, space, id);
      if (found === undefined) continue;
      known.set(id, found.record);
      break;
    }
  }
  return known;
}

/** Changes a model's metadata in all spaces; tells whether it is in one. In a transaction; throws before it writes. */
export function patchRecords(tables: Tables, id: string, patch: MetadataPatch): boolean {
  const nowMs = Date.now();
  const patched = readSpaces(tables).flatMap((space) => {
    const old = readRecord(tables, space, id);
    if (old === undefined) return [];
    const record = { ...old.record, metadata: applyPatch(old.record, patch), updatedMs: nowMs };
    return [{ space, old, record }];
  });
  if (patched.length === 0) return false;
  for (const { space, old, record } of patched) {
    const counts = openFieldCounts(tables, space.number);
    counts.add(old.record, -1);
    counts.add(record, 1);
    putRecord(tables, space, { slot: old.slot, record }, old);
    counts.write();
  }
  logChanges(
    tables,
    patched.map(({ space, old }) => ({ space: space.number, slots: [old.slot] })),
  );
  return true;
}

/** Removes models from one space or from all; tells how many there were. In a transaction. */
export function deleteRecords(tables: Tables, ids: readonly string[], spaceId: string | undefined): number {
  const spaces = spaceId === undefined ? readSpaces(tables) : [requireSpace(tables, spaceId)];
  const there = new Set<string>();
  const changes: Change[] = [];
  for (const space of spaces) {
    const counts = openFieldCounts(tables, space.number);
    const slots = openSlots(tables, space);
    const changed: number[] = [];
    for (const id of new Set(ids)) {
      const old = readRecord(tables, space, id);
      if (old === undefined) continue;
      tables.records.removeSync(toRecordKey(space.number, id));
      tables.vectors.removeSync(toSlotKey(space.number, old.slot));
      removeWeights(tables, space, old);
      counts.add(old.record, -1);
      slots.give(old.slot);
      changed.push(old.slot);
      there.add(id);
    }
    if (changed.length === 0) continue;
    counts.write();
    writeSpace(tables, { ...space, count: space.count - changed.length });
    changes.push({ space: space.number, slots: changed });
  }
  if (changes.length > 0) logChanges(tables, changes);
  return there.size;
}

/** A record without its representation; undefined if there is none. */
export function readRecord({ records }: Tables, { number }: StoredSpace, id: string): StoredRecord | undefined {
  // Half of a surrogate pair would become U+FFFD, and a long id no key.
  if (id.length > maxIdUnits || !isStorableText(id)) return undefined;
  const value = records.getBinaryFast(toRecordKey(number, id));
  return value && decodeRecord(id, value);
}

function putRecord(
  tables: Tables,
  space: StoredSpace,
  { slot, record }: StoredRecord,
  old: StoredRecord | undefined,
): void {
  const { id, weightsHash } = record;
  tables.records.putSync(toRecordKey(space.number, id), encodeRecord(slot, record));
  if (weightsHash === old?.record.weightsHash) return;
  if (old !== undefined) removeWeights(tables, space, old);
  if (weightsHash !== "") tables.weights.putSync(toWeightsKey(space.number, weightsHash, id), mark);
}

function removeWeights({ weights }: Tables, { number }: StoredSpace, { record }: StoredRecord): void {
  if (record.weightsHash !== "") weights.removeSync(toWeightsKey(number, record.weightsHash, record.id));
}

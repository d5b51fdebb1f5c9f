import { maxIdUnits } from "../../assert-records.js";
import { matchFilter } from "../../match-filter.js";
import type { VectorRecord } from "../../vector-record.js";
import type { RecordRange } from "../../vector-store.js";
import type { Tables } from "./database.js";
import {
  afterKey,
  afterPrefix,
  toId,
  toIdOfWeights,
  toNumberKey,
  toRecordKey,
  toSlotKey,
  toWeightsKey,
} from "./keys.js";
import type { StoredSpace } from "./space-table.js";
import { decodeRecord, joinRecord, type StoredRecord } from "./stored-record.js";
import { readRecord } from "./write-records.js";

/** Records looked at in one go: a few milliseconds, for which writers wait. */
const recordsPerStep = 2000;

/** Records in the order of the ids; undefined where there is none. Without `vectors` their representations are empty. */
export function getRecords(
  tables: Tables,
  space: StoredSpace,
  ids: readonly string[],
  vectors: boolean,
): (VectorRecord | undefined)[] {
  return ids.map((id) => {
    const stored = readRecord(tables, space, id);
    if (stored === undefined || vectors) return stored && withVector(tables, space, stored);
    return { ...stored.record, vector: new Float32Array(0) };
  });
}

/** Some of a listing: what was found, and where to go on; without `next` it is complete. */
export interface ListStep {
  readonly records: readonly VectorRecord[];
  readonly next?: string;
}

/** Looks at the next {@link recordsPerStep} records of a listing. */
export function listRecords(tables: Tables, space: StoredSpace, { after, limit, filter }: RecordRange): ListStep {
  const records: VectorRecord[] = [];
  const start = after === undefined ? toNumberKey(space.number) : toKeyAfter(space, after);
  const end = toNumberKey(space.number + 1);
  let next = after;
  let seen = 0;
  for (const { key, value } of tables.records.getRange({ start, end, limit: recordsPerStep })) {
    seen++;
    next = toId(key);
    const stored = decodeRecord(next, value);
    if (filter !== undefined && !matchFilter(filter, stored.record)) continue;
    records.push(withVector(tables, space, stored));
    if (records.length === limit) return { records };
  }
  return seen < recordsPerStep || next === undefined ? { records } : { records, next };
}

/** Ids of records with one of these hashes, by hash; the first by id. */
export function findByWeights(
  { weights }: Tables,
  { number }: StoredSpace,
  hashes: readonly string[],
): Map<string, string> {
  const found = new Map<string, string>();
  for (const hash of new Set(hashes)) {
    if (!/^[0-9a-f]{64}$/.test(hash)) continue;
    const start = toWeightsKey(number, hash);
    for (const key of weights.getKeys({ start, end: afterPrefix(start), limit: 1 }))
      found.set(hash, toIdOfWeights(key));
  }
  return found;
}

/** Where the ids after another begin, which may be longer than any that is kept. */
function toKeyAfter({ number }: StoredSpace, after: string): Buffer {
  return afterKey(toRecordKey(number, after)).subarray(0, toNumberKey(number).length + 3 * maxIdUnits + 1);
}

function withVector({ vectors }: Tables, { number, width }: StoredSpace, stored: StoredRecord): VectorRecord {
  const value = vectors.getBinaryFast(toSlotKey(number, stored.slot));
  if (value === undefined) throw new Error(`MDB_CORRUPTED: the record "${stored.record.id}" has no representation`);
  return joinRecord(stored, value, width);
}

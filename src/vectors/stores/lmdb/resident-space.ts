import type { KnownFields } from "../../field-value.js";
import type { Filter } from "../../filter.js";
import { createColumns } from "./columns.js";
import type { Tables } from "./database.js";
import { readFields } from "./field-counts.js";
import { toId, toSlotKey, toSpaceRange } from "./keys.js";
import { maskedBias, type Rows } from "./nearest-graph.js";
import { createRemembered } from "./remembered.js";
import { createSegments, type Segment } from "./segments.js";
import type { StoredSpace } from "./space-table.js";
import { decodeRecord, decodeVectorId } from "./stored-record.js";
import { readRecord } from "./write-records.js";

/** Rows of one segment that a search looks at. */
export interface Candidates extends Rows {
  /** Slot of each row; absent: `first` and those after it. */
  readonly slots?: Uint32Array;
  readonly first: number;
}

/** A space in memory: its representations at unit length, in segments by slot, and what filters look at. */
export interface ResidentSpace {
  readonly width: number;
  /** Follows the log: reads slots anew, of the space as it is now. */
  follow(space: StoredSpace, slots: Iterable<number>): void;
  /** Id of a record by its slot. */
  idOf(slot: number): string;
  /** A record's representation at unit length. */
  rowOf(slot: number): Float32Array;
  /** Fields that records have. */
  fields(): KnownFields;
  /**
   * The rows that a filter leaves, segment by segment. The space must not follow the log meanwhile. Undefined if nobody
   * waits any more.
   */
  candidates(filter: Filter | undefined, isGone: () => boolean): Promise<readonly Candidates[] | undefined>;
}

/** Bytes of filters, rows and biases that are remembered until the space changes, for filters that come again. */
const rememberedBytes = 128 * 1024 ** 2;
/** Filters that are remembered, at most. */
const rememberedFilters = 1000;
/** Of a segment of which a filter leaves less than this share, the rows are copied together. */
const copiedShare = 1 / 8;

/** Reads a space into memory. In one read transaction with what the log says. */
export function readResidentSpace(tables: Tables, stored: StoredSpace): ResidentSpace {
  const { number, width } = stored;
  const segments = createSegments(width, stored.slotEnd);
  const ids: (string | undefined)[] = [];
  let space = stored;
  let columns = createColumns();
  let known: KnownFields | undefined;
  const remembered = createRemembered<readonly Candidates[]>(rememberedBytes, rememberedFilters);

  const readSlot = (slot: number): string | undefined => {
    const value = tables.vectors.getBinaryFast(toSlotKey(number, slot));
    if (value === undefined) {
      ids[slot] = undefined;
      return undefined;
    }
    segments.write(slot, value);
    const id = decodeVectorId(value, width);
    ids[slot] = id;
    return id;
  };

  const match = async (filter: Filter | undefined, isGone: () => boolean): Promise<Uint8Array | undefined> => {
    const live = new Uint8Array(space.slotEnd);
    for (let slot = 0; slot < live.length; slot++) live[slot] = Number(ids[slot] !== undefined);
    if (filter === undefined) return live;
    // At once, while the database is read as it was when the log was followed.
    const missing = columns.missing(filter);
    if (missing.length > 0) columns.add(missing, space.slotEnd, readAll(tables, number));
    const matched = await columns.match(filter, space.slotEnd, isGone);
    if (matched === undefined) return undefined;
    for (let slot = 0; slot < live.length; slot++) live[slot] = (live[slot] as number) & (matched[slot] as number);
    return live;
  };

  for (let slot = 0; slot < stored.slotEnd; slot++) readSlot(slot);

  return {
    width,
    follow: (now, slots) => {
      space = now;
      known = undefined;
      remembered.clear();
      // A product reads the rows of free slots as well, and the last ones may have been free since before they were seen.
      segments.reserve(now.slotEnd);
      for (const slot of slots) {
        if (slot >= now.slotEnd) continue;
        const id = readSlot(slot);
        if (columns.isEmpty) continue;
        columns.set(slot, id === undefined ? undefined : readRecord(tables, now, id)?.record);
      }
      ids.length = Math.min(ids.length, now.slotEnd);
      segments.shrink(now.slotEnd);
      if (now.count === 0) columns = createColumns();
    },
    idOf: (slot) => ids[slot] ?? "",
    rowOf: (slot) => segments.row(slot),
    fields: () => {
      known ??= readFields(tables, number);
      return known;
    },
    candidates: async (filter, isGone) => {
      const key = JSON.stringify(filter) ?? "";
      const found = remembered.get(key);
      if (found !== undefined) return found;
      const matched = await match(filter, isGone);
      if (matched === undefined) return undefined;
      const rows = segments.list.flatMap((segment) => {
        const own = matched.subarray(segment.first, Math.min(space.slotEnd, segment.first + segments.rowsPerSegment));
        return toCandidates(segment, own, width);
      });
      remembered.set(
        key,
        rows,
        rows.reduce((sum, one) => sum + ownBytes(one), 0),
      );
      return rows;
    },
  };
}

/** The rows of a segment that are matched; none if none is. */
function toCandidates({ first, values }: Segment, matched: Uint8Array, width: number): readonly Candidates[] {
  let left = 0;
  for (let row = 0; row < matched.length; row++) left += matched[row] as number;
  if (left === 0) return [];
  const count = matched.length;
  const all = { first, width, count, values: values.subarray(0, count * width) };
  if (left === count) return [all];
  if (left >= count * copiedShare)
    return [{ ...all, bias: Float32Array.from(matched, (one) => (one ? 0 : maskedBias)) }];
  const slots = new Uint32Array(left);
  const copied = new Float32Array(left * width);
  let at = 0;
  for (const [row, one] of matched.entries()) {
    if (one === 0) continue;
    slots[at] = first + row;
    copied.set(values.subarray(row * width, (row + 1) * width), at * width);
    at++;
  }
  return [{ first, width, count: left, values: copied, slots }];
}

/** Bytes that rows take beside their segment. */
function ownBytes({ slots, values, bias }: Candidates): number {
  return (slots === undefined ? 0 : slots.byteLength + values.byteLength) + (bias?.byteLength ?? 0) + 100;
}

/** All records of a space with their slots. */
function* readAll(
  { records }: Tables,
  space: number,
): Generator<readonly [number, ReturnType<typeof decodeRecord>["record"]]> {
  for (const { key, value } of records.getRange(toSpaceRange(space))) {
    const { slot, record } = decodeRecord(toId(key), value);
    yield [slot, record];
  }
}

import { type FilterRecord, fieldValue } from "../../field-value.js";
import type { Filter, Scalar } from "../../filter.js";
import { type Condition, matchCondition } from "../../match-filter.js";
import { foldFilter, type Judged } from "./fold-filter.js";

/** Values of one field by slot: each is a number into the list of values that there are; 0 stands for none. */
interface Column {
  codes: Uint32Array;
  readonly values: (Scalar | undefined)[];
  readonly codeOf: Map<Scalar, number>;
}

/**
 * Fields of a space's records as columns, so that a filter looks at each value once and at each record a few bytes. A column
 * is made when a filter first names its field.
 */
export interface Columns {
  /** Fields of a filter that have no column yet. */
  missing(filter: Filter): readonly string[];
  /** Makes columns of fields from all records. */
  add(
    fields: readonly string[],
    slotEnd: number,
    records: Iterable<readonly [slot: number, record: FilterRecord]>,
  ): void;
  /** Writes a record's values; without one, that the slot has none. */
  set(slot: number, record: FilterRecord | undefined): void;
  /** Whether there is a column. */
  readonly isEmpty: boolean;
  /**
   * 1 for slots for which a filter holds; of slots without a record it says nothing. All its fields have columns, which
   * nobody changes meanwhile. Undefined if nobody waits any more.
   */
  match(filter: Filter, slotEnd: number, isGone: () => boolean): Promise<Uint8Array | undefined>;
}

/** A column that was changed so often that it holds this many more values than slots is made anew. */
const spareValues = 4096;

/** Makes no columns yet. */
export function createColumns(): Columns {
  const columns = new Map<string, Column>();

  const put = (column: Column, slot: number, value: Scalar | undefined): void => {
    if (slot >= column.codes.length) {
      const grown = new Uint32Array(Math.max(slot + 1, 2 * column.codes.length));
      grown.set(column.codes);
      column.codes = grown;
    }
    column.codes[slot] = value === undefined ? 0 : toCode(column, value);
  };

  const judge = (condition: Condition): Judged => {
    const field = "exists" in condition ? condition.exists : condition.field;
    const { codes, values } = columns.get(field) as Column;
    const holds = Uint8Array.from(values, (value) => Number(matchCondition(condition, value)));
    return { codes, holds };
  };

  return {
    missing: (filter) => [...fieldsOf(filter)].filter((field) => !columns.has(field)),
    add: (fields, slotEnd, records) => {
      const made = fields.map((field) => ({ field, column: createColumn(slotEnd) }));
      for (const [slot, record] of records) {
        for (const { field, column } of made) put(column, slot, fieldValue(record, field));
      }
      for (const { field, column } of made) columns.set(field, column);
    },
    set: (slot, record) => {
      for (const [field, column] of columns) {
        put(column, slot, record && fieldValue(record, field));
        if (column.values.length > 2 * column.codes.length + spareValues) columns.delete(field);
      }
    },
    get isEmpty() {
      return columns.size === 0;
    },
    match: (filter, slotEnd, isGone) => foldFilter(filter, slotEnd, judge, isGone),
  };
}

function createColumn(slotEnd: number): Column {
  return { codes: new Uint32Array(slotEnd), values: [undefined], codeOf: new Map() };
}

function toCode({ values, codeOf }: Column, value: Scalar): number {
  const found = codeOf.get(value);
  if (found !== undefined) return found;
  const code = values.push(value) - 1;
  codeOf.set(value, code);
  return code;
}

function fieldsOf(filter: Filter): Set<string> {
  if ("not" in filter) return fieldsOf(filter.not);
  if ("exists" in filter) return new Set([filter.exists]);
  if ("field" in filter) return new Set([filter.field]);
  return new Set(("and" in filter ? filter.and : filter.or).flatMap((one) => [...fieldsOf(one)]));
}

import { type FilterRecord, namedFields, type ScalarType, toScalarType } from "../../field-value.js";
import type { Tables } from "./database.js";
import { toField, toFieldKey, toSpaceRange } from "./keys.js";

/** Counts which fields records have: gathered while they are written, and written at the end. */
export interface FieldCounts {
  /** Counts a record's fields: by 1 if it comes, by -1 if it goes. */
  add(record: FilterRecord, by: 1 | -1): void;
  /** Writes what was counted. In a transaction. */
  write(): void;
}

/** Opens the counts of a space. */
export function openFieldCounts({ fields }: Tables, space: number): FieldCounts {
  const changes = new Map<string, number>();
  return {
    add: (record, by) => {
      for (const [field, value] of namedFields(record)) {
        const name = `${field}\0${toScalarType(value)}`;
        changes.set(name, (changes.get(name) ?? 0) + by);
      }
    },
    write: () => {
      for (const [name, change] of changes) {
        if (change === 0) continue;
        const [field = "", type = ""] = name.split("\0");
        const key = toFieldKey(space, field, type);
        const count = (fields.getBinary(key)?.readUInt32LE() ?? 0) + change;
        const value = Buffer.alloc(4);
        value.writeUInt32LE(Math.max(0, count));
        if (count > 0) fields.putSync(key, value);
        else fields.removeSync(key);
      }
      changes.clear();
    },
  };
}

/** Fields of a space's records with the types of their values. */
export function readFields({ fields }: Tables, space: number): Map<string, ScalarType[]> {
  const found = new Map<string, ScalarType[]>();
  for (const key of fields.getKeys(toSpaceRange(space))) {
    const [field, type] = toField(key);
    found.set(field, [...(found.get(field) ?? []), type as ScalarType]);
  }
  return found;
}

import type { Tables } from "./database.js";
import { toNumberKey, toSpaceRange } from "./keys.js";
import { readSpaces } from "./space-table.js";

/** Tables whose keys begin with the number of a space. */
const tablesOfSpaces = ["records", "vectors", "free", "weights", "fields"] as const;

/** Keys removed in one transaction: some ten milliseconds, for which other writers wait. */
export const keysPerStep = 2000;

/** Numbers of spaces that were dropped and of which something is left. In one read transaction. */
export function findDropped(tables: Tables): readonly number[] {
  const live = new Set(readSpaces(tables).map(({ number }) => number));
  const dropped = new Set<number>();
  for (const name of tablesOfSpaces) {
    // From the first key of a space to the first of the next one.
    for (let next = 0; ; next++) {
      const [key] = tables[name].getKeys({ start: toNumberKey(next), limit: 1 });
      if (key === undefined) break;
      next = key.readUInt32BE();
      if (!live.has(next)) dropped.add(next);
    }
  }
  return [...dropped];
}

/**
 * Removes keys of a space that was dropped, {@link keysPerStep} at most; tells whether there may be more. Its number is
 * never given again, so that this can be done at any time. In a transaction.
 */
export function clearDropped(tables: Tables, number: number): boolean {
  let left = keysPerStep;
  for (const name of tablesOfSpaces) {
    const table = tables[name];
    const keys = [...table.getKeys({ ...toSpaceRange(number), limit: left })].map((key) => Buffer.from(key));
    for (const key of keys) table.removeSync(key);
    left -= keys.length;
    if (left === 0) return true;
  }
  return false;
}

import type { Tables } from "./database.js";
import { toSlot, toSlotKey, toSpaceRange } from "./keys.js";
import type { StoredSpace } from "./space-table.js";

/** What the table `free` keeps of a slot: something. */
const mark = Buffer.of(1);

/** Gives slots to records and takes them back, within one transaction. */
export interface Slots {
  /** A slot for a new record: a free one, else the one at the end. */
  take(): number;
  /** Gives a slot back. */
  give(slot: number): void;
  /** Slots of the space now, free ones as well. */
  readonly end: number;
}

/** Opens the slots of a space. */
export function openSlots({ free }: Tables, { number, count, slotEnd }: StoredSpace): Slots {
  let end = slotEnd;
  // Looking for free slots costs more than taking one, so it is done where there are some, and for many at once.
  const hasFree = count < slotEnd;
  const found = hasFree ? free.getKeys(toSpaceRange(number)).map(toSlot)[Symbol.iterator]() : undefined;
  const pending: number[] = [];
  if (found !== undefined) {
    for (let next = found.next(); next.done !== true && pending.length < 10_000; next = found.next())
      pending.push(next.value);
    found.return?.();
  }
  return {
    take: () => {
      const slot = pending.shift();
      if (slot === undefined) return end++;
      free.removeSync(toSlotKey(number, slot));
      return slot;
    },
    give: (slot) => {
      free.putSync(toSlotKey(number, slot), mark);
    },
    get end() {
      return end;
    },
  };
}

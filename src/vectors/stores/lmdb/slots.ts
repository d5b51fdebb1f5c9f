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

/** Free slots looked for at first; for a long write more and more at once, for looking costs more than taking one. */
const firstLook = 8;
/** Free slots looked for at once, at most. */
const mostLook = 10_000;

/** Opens the slots of a space. Nothing is read before a slot is taken. */
export function openSlots({ free }: Tables, { number, count, slotEnd }: StoredSpace): Slots {
  let end = slotEnd;
  let hasMore = count < slotEnd;
  let look = firstLook;
  let from = 0;
  let found: readonly number[] = [];
  let at = 0;
  const lookOn = (): void => {
    const range = { start: toSlotKey(number, from), end: toSpaceRange(number).end, limit: look };
    found = [...free.getKeys(range).map(toSlot)];
    at = 0;
    from = (found.at(-1) ?? from) + 1;
    hasMore = found.length === look;
    look = Math.min(mostLook, 4 * look);
  };
  return {
    take: () => {
      if (at === found.length && hasMore) lookOn();
      const slot = found[at];
      if (slot === undefined) return end++;
      at++;
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

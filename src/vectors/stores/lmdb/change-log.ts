import { infoKeys, type Tables } from "./database.js";
import { toChangeKey, toSequence } from "./keys.js";

/**
 * Pairs of space and slot that the log keeps; who is further behind reads its spaces anew. 8 bytes each, and reading
 * 200,000 slots takes about as long as reading a space of that size.
 */
const keptPairs = 200_000;
/** Pairs that stay when the store is compacted: other processes that follow have mostly read what is older. */
const keptWhenCompacted = 10_000;

/** Slots that changed. */
export interface Change {
  readonly space: number;
  readonly slots: readonly number[];
}

/** Number of the last change. */
export function readSequence({ info }: Tables): number {
  return readCount(info.getBinary(infoKeys.sequence));
}

/** Logs changes under the next number. In the transaction that makes them. */
export function logChanges(tables: Tables, changes: readonly Change[]): void {
  const { info, changes: log } = tables;
  const pairs = changes.flatMap(({ space, slots }) => slots.flatMap((slot) => [space, slot]));
  const sequence = readSequence(tables) + 1;
  log.putSync(toChangeKey(sequence), Buffer.from(Uint32Array.from(pairs).buffer));
  info.putSync(infoKeys.sequence, toChangeKey(sequence));
  trim(tables, readCount(info.getBinary(infoKeys.logged)) + pairs.length / 2, keptPairs);
}

/** Makes the log short. In a transaction. */
export function trimLog(tables: Tables): void {
  trim(tables, readCount(tables.info.getBinary(infoKeys.logged)), keptWhenCompacted);
}

/** Takes the oldest changes away until no more pairs than that are left, but never the last change. */
function trim({ info, changes }: Tables, logged: number, most: number): void {
  let left = logged;
  if (left > most) {
    const last = readCount(info.getBinary(infoKeys.sequence));
    const gone: Buffer[] = [];
    for (const { key, value } of changes.getRange({})) {
      if (left <= most || toSequence(key) >= last) break;
      left -= value.length / 8;
      gone.push(Buffer.from(key));
    }
    for (const key of gone) changes.removeSync(key);
  }
  info.putSync(infoKeys.logged, toChangeKey(left));
}

/**
 * What changed after a change: slots by space, each once. Undefined if the log does not reach back so far.
 */
export function readChanges(tables: Tables, after: number): ReadonlyMap<number, ReadonlySet<number>> | undefined {
  const last = readSequence(tables);
  const slots = new Map<number, Set<number>>();
  let expected = after + 1;
  for (const { key, value } of tables.changes.getRange({ start: toChangeKey(after + 1) })) {
    if (toSequence(key) !== expected++) return undefined;
    for (let at = 0; at < value.length; at += 8) {
      const space = value.readUInt32LE(at);
      const of = slots.get(space) ?? new Set();
      slots.set(space, of.add(value.readUInt32LE(at + 4)));
    }
  }
  return expected === last + 1 ? slots : undefined;
}

function readCount(value: Buffer | undefined): number {
  return value === undefined ? 0 : toSequence(value);
}

import { setImmediate } from "node:timers/promises";
import type { Filter } from "../../filter.js";
import type { Condition } from "../../match-filter.js";

/** Values of a field by slot, and for which of them a condition holds. */
export interface Judged {
  /** Of each slot the number of its value; slots beyond have value 0. */
  readonly codes: Uint32Array;
  /** By a value's number: 1 if the condition holds, else 0. */
  readonly holds: Uint8Array;
}

/** How what a condition says comes to what was said before. */
type Join = "set" | "and" | "or";

/** Milliseconds of work after which a thread hears its messages. */
const hearMs = 10;

/**
 * For which slots a filter holds: 1, else 0. Condition by condition is folded into one array, and one more per level of the
 * filter, however many conditions there are. Between two of them the thread hears its messages now and then.
 *
 * @param isGone whether nobody waits for the answer any more; asked before each condition.
 * @returns undefined if nobody waits any more.
 */
export async function foldFilter(
  filter: Filter,
  slotEnd: number,
  judge: (condition: Condition) => Judged,
  isGone: () => boolean,
): Promise<Uint8Array | undefined> {
  const arrays: Uint8Array[] = [];
  let hearAt = performance.now() + hearMs;

  /** Folds a filter, or its contrary, into the array of a level; false if nobody waits any more. */
  const fold = async (one: Filter, isContrary: boolean, join: Join, level: number): Promise<boolean> => {
    if ("not" in one) return fold(one.not, !isContrary, join, level);
    const target = arrayOf(level);
    if ("and" in one || "or" in one) {
      // What does not hold of all holds not of one of them.
      const inner = "and" in one === isContrary ? "or" : "and";
      const isOwn = join !== "set" && join !== inner;
      const at = isOwn ? level + 1 : level;
      let next: Join = isOwn ? "set" : join;
      for (const each of "and" in one ? one.and : one.or) {
        if (!(await fold(each, isContrary, next, at))) return false;
        next = inner;
      }
      if (isOwn) joinArray(target, arrayOf(at), join);
      return true;
    }
    if (performance.now() >= hearAt) {
      await setImmediate();
      hearAt = performance.now() + hearMs;
    }
    if (isGone()) return false;
    const { codes, holds } = judge(one);
    joinValues(target, codes, isContrary ? holds.map((each) => 1 - each) : holds, join);
    return true;
  };

  const arrayOf = (level: number): Uint8Array => {
    arrays[level] ??= new Uint8Array(slotEnd);
    return arrays[level];
  };

  return (await fold(filter, false, "set", 0)) ? arrayOf(0) : undefined;
}

function joinValues(target: Uint8Array, codes: Uint32Array, holds: Uint8Array, join: Join): void {
  for (let slot = 0; slot < target.length; slot++) {
    const one = holds[codes[slot] ?? 0] as number;
    const before = target[slot] as number;
    target[slot] = join === "set" ? one : join === "and" ? before & one : before | one;
  }
}

function joinArray(target: Uint8Array, other: Uint8Array, join: Join): void {
  for (let slot = 0; slot < target.length; slot++) {
    const [before, one] = [target[slot] as number, other[slot] as number];
    target[slot] = join === "and" ? before & one : before | one;
  }
}

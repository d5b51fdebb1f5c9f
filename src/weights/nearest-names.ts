import { quoteName } from "./quote-name.js";

/** Names that are looked at. A suggestion is a courtesy: of a larger model the first will do. */
const MAX_COMPARED = 20_000;

/** Names that are suggested. */
const MAX_SUGGESTED = 3;

/**
 * The names most like a wanted one, best first, as text to follow a message: `; the nearest are "a", "b"`, or nothing.
 * Alike is what begins and ends alike, for what differs between layer names is a number or a prefix.
 *
 * Work: one pass over each of {@link MAX_COMPARED} names at most; an edit distance would cost a hundred times that,
 * and strangers may ask for it.
 */
export function suggestNames(wanted: string, names: Iterable<string>): string {
  const best: { name: string; score: number }[] = [];
  let compared = 0;
  for (const name of names) {
    if (++compared > MAX_COMPARED) break;
    const score = toLikeness(wanted, name);
    if (score < 0.3 || score <= (best[MAX_SUGGESTED - 1]?.score ?? 0)) continue;
    best.push({ name, score });
    best.sort((a, b) => b.score - a.score);
    best.length = Math.min(best.length, MAX_SUGGESTED);
  }
  return best.length === 0 ? "" : `; the nearest are ${best.map(({ name }) => quoteName(name)).join(", ")}`;
}

/** Share of the longer name that both begin or end with, from 0 to 1. */
function toLikeness(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  let head = 0;
  while (head < shorter && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < shorter - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  return (head + tail) / Math.max(a.length, b.length, 1);
}

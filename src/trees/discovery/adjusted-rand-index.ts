import { InternalError } from "../../errors/probestream-error.js";

/**
 * Adjusted Rand index of two partitions of the same things: 1 where they are the same, 0 on average where they have
 * nothing to do with each other, below 0 for less than that. Of partitions that are both one group, or both all single
 * things, it is 1.
 *
 * @param a, b n labels each; equal labels, equal group.
 * @throws InternalError if they are not equally many.
 * @see Hubert and Arabie, Comparing partitions, 1985
 */
export function adjustedRandIndex(a: ArrayLike<number | string>, b: ArrayLike<number | string>): number {
  const n = a.length;
  if (b.length !== n) throw new InternalError("INTERNAL", `${n} labels beside ${b.length}`);
  const [together, rows, columns] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  for (let i = 0; i < n; i++) {
    const [row, column] = [String(a[i]), String(b[i])];
    for (const [counts, key] of [
      [together, JSON.stringify([row, column])],
      [rows, row],
      [columns, column],
    ] as const) {
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const [index, pairsA, pairsB] = [together, rows, columns].map(countPairs) as [number, number, number];
  const expected = (pairsA * pairsB) / Math.max(1, (n * (n - 1)) / 2);
  const most = (pairsA + pairsB) / 2;
  return most === expected ? 1 : (index - expected) / (most - expected);
}

/** Pairs of things that are in the same group. */
function countPairs(counts: ReadonlyMap<string, number>): number {
  let pairs = 0;
  for (const count of counts.values()) pairs += (count * (count - 1)) / 2;
  return pairs;
}

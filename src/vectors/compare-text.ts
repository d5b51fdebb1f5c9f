/**
 * Compares texts by their UTF-8 bytes, which is the order of code points: below 0, 0, or above 0. UTF-16 orders otherwise
 * in one place: a surrogate stands for a code point above U+FFFF, yet is below U+E000.
 */
export function compareText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const [unitA, unitB] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (unitA !== unitB) return toRank(unitA) - toRank(unitB);
  }
  return a.length - b.length;
}

/** Puts surrogates after all other units. */
function toRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

import fc from "fast-check";

/** Code points that are halves of others, and characters of none. */
const [firstSurrogate, surrogateCount] = [0xd800, 0x800];

/**
 * Any character of Unicode: the values of fast-check's unit `binary`, seed by seed, which takes 0.8 s to make, for it
 * looks up every character there is.
 */
export const anyCharacter: fc.Arbitrary<string> = fc
  .nat({ max: 0x10ffff - surrogateCount })
  .map((index) => String.fromCodePoint(index < firstSurrogate ? index : index + surrogateCount), toIndex);

/** What shrinks, and what builds words like `__proto__` of characters, asks for the way back. */
function toIndex(character: unknown): number {
  const point = typeof character === "string" ? character.codePointAt(0) : undefined;
  if (point === undefined || String.fromCodePoint(point) !== character) throw new Error("not one character");
  const index = point < firstSurrogate ? point : point - surrogateCount;
  if (point >= firstSurrogate && index < firstSurrogate) throw new Error("half a character");
  return index;
}

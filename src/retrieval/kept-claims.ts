import { maxFieldNameUnits } from "../vectors/assert-records.js";
import { isStorableText } from "../vectors/assert-text.js";

/** 64 KiB of one model's claims, names and values together. */
const maxClaimsBytes = 64 * 1024;

/**
 * The claims of a file that are kept. It is the file that says them, so none of them is an error: left out are values longer
 * than `maxClaimBytes`, the longest of those that take more than 64 KiB together, and what no store can keep.
 */
export function toKeptClaims(
  claims: Readonly<Record<string, string>>,
  maxClaimBytes: number,
): Readonly<Record<string, string>> {
  const sound = Object.entries(claims).flatMap(([name, value]) => {
    const isSound = name !== "" && name.length <= maxFieldNameUnits && isStorableText(name) && isStorableText(value);
    const bytes = Buffer.byteLength(value);
    return isSound && bytes <= maxClaimBytes ? [{ name, value, bytes: bytes + Buffer.byteLength(name) }] : [];
  });
  let total = 0;
  const kept = new Set(
    sound
      .toSorted((a, b) => a.bytes - b.bytes)
      .filter(({ bytes }) => {
        total += bytes;
        return total <= maxClaimsBytes;
      }),
  );
  return Object.fromEntries(sound.filter((one) => kept.has(one)).map(({ name, value }) => [name, value]));
}

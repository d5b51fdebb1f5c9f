import { compareText } from "./compare-text.js";
import type { SpaceSpec } from "./vector-store.js";

/** Order of spaces in a listing: by expert name, then by id. */
export function compareSpaces(a: SpaceSpec, b: SpaceSpec): number {
  return compareText(a.expertName, b.expertName) || compareText(a.spaceId, b.spaceId);
}

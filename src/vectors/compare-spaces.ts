import { compareText } from "./compare-text.js";
import type { SpaceSpec } from "./vector-store.js";

/** Order of spaces in a listing: by expert name, then by id. */
export function compareSpaces(a: SpaceSpec, b: SpaceSpec): number {
  return compareText(a.expertName, b.expertName) || compareText(a.spaceId, b.spaceId);
}

/** Where what is known of models is looked for when they are written to a space: there, then in the others, as listed. */
export function toOwnFirst<S extends SpaceSpec>(own: S, all: readonly S[]): readonly S[] {
  return [own, ...all.filter(({ spaceId }) => spaceId !== own.spaceId).sort(compareSpaces)];
}

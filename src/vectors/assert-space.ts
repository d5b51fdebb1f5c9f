import { InvalidInputError, NotFoundError, PreconditionError } from "../errors/probestream-error.js";
import { assertText, quoteText } from "./assert-text.js";
import type { SpaceSpec } from "./vector-store.js";

/** Numbers per representation at most. */
export const maxWidth = 16_000;

/** Asserts that a space can be made. */
export function assertSpace({ spaceId, width, expertName }: SpaceSpec): void {
  if (typeof spaceId !== "string" || !/^[0-9a-f]{64}$/.test(spaceId)) {
    throw invalid(`the space id is ${quoteText(String(spaceId))}; it is 64 of 0-9 and a-f`);
  }
  if (!Number.isInteger(width) || width < 1 || width > maxWidth) {
    throw invalid(`the width is ${width}; it is a whole number from 1 to ${maxWidth}`);
  }
  assertText(expertName, "the expert's name", 1024);
}

/** Asserts that a space that is there is as wide as the one that is wanted. */
export function assertSameWidth(found: SpaceSpec, wanted: SpaceSpec): void {
  if (found.width === wanted.width) return;
  const message = `the space ${found.spaceId} is there with ${found.width} numbers per representation, not ${wanted.width}; drop it, or use the expert that made it`;
  throw new PreconditionError("SPACE_MISMATCH", message, { spaceId: found.spaceId, width: found.width });
}

/** Asserts that spaces can change places: none both serves and retires. */
export function assertSwitch(change: { readonly serve: readonly string[]; readonly retire: readonly string[] }): void {
  const both = change.serve.find((id) => change.retire.includes(id));
  if (both !== undefined) throw invalid(`the space ${quoteText(both)} is to serve and to retire; name it once`);
}

/** The error for a space that is not there. */
export function toSpaceMissing(spaceId: string): NotFoundError {
  const message = `the store has no space ${quoteText(spaceId)}: nothing was indexed under that expert yet; list the spaces`;
  return new NotFoundError("SPACE_NOT_FOUND", message, { spaceId });
}

function invalid(message: string): InvalidInputError {
  return new InvalidInputError("FIELD_INVALID", message);
}

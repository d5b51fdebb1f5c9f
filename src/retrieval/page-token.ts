import { createHash } from "node:crypto";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { Filter } from "../vectors/filter.js";

/** Bytes of the digest that binds a token to its listing. */
const digestBytes = 12;

/** What a page token is good for: one space under one filter. */
export interface Listing {
  readonly spaceId: string;
  readonly filter: Filter | undefined;
}

/** A token for the page after the model of this id. */
export function toPageToken(listing: Listing, lastId: string): string {
  return Buffer.concat([toDigest(listing), Buffer.from(lastId)]).toString("base64url");
}

/**
 * The id that the page comes after.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a token of another space or filter, or of none.
 */
export function fromPageToken(listing: Listing, token: string): string {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.byteLength > digestBytes && bytes.subarray(0, digestBytes).equals(toDigest(listing))) {
    return bytes.subarray(digestBytes).toString();
  }
  throw new InvalidInputError(
    "FIELD_INVALID",
    "page_token was not given for this space and filter; ask for the first page without one",
  );
}

function toDigest({ spaceId, filter }: Listing): Buffer {
  return createHash("sha256")
    .update(JSON.stringify([spaceId, filter ?? null]))
    .digest()
    .subarray(0, digestBytes);
}

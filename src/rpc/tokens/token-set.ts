import { createHash, timingSafeEqual } from "node:crypto";
import { assertTokens } from "./parse-tokens.js";

/** Tells whether a token is one of those that let in. */
export interface TokenSet {
  has(token: string): boolean;
}

/**
 * Tokens by their SHA-256 digests; the tokens themselves are not kept.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a token that is too short, too long or not plain ASCII, and without any;
 * LimitExceededError `LIMIT_EXCEEDED` for more than 1,000.
 */
export function createTokenSet(tokens: readonly string[]): TokenSet {
  assertTokens(tokens);
  const digests = tokens.map(toTokenDigest);
  return { has: (token) => isAmong(digests, token) };
}

/** SHA-256 of a token: 32 bytes. */
export function toTokenDigest(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** Whether a token has one of these digests. Takes equally long whichever it is, and if it is none. */
export function isAmong(digests: readonly Uint8Array[], token: string): boolean {
  const wanted = toTokenDigest(token);
  let found = 0;
  for (const digest of digests) found |= Number(timingSafeEqual(digest, wanted));
  return found === 1;
}

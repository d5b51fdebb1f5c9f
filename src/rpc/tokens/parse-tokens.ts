import { InvalidInputError, LimitExceededError } from "../../errors/probestream-error.js";

/** Fewest characters of a token: 16 random ones of 64 are 96 bits, which nobody tries out over a network. */
export const minTokenLength = 16;

/** Most characters of a token. Headers of all kinds share 64 KiB. */
export const maxTokenLength = 1024;

/** Most tokens at a time: every call is compared with each. */
export const maxTokens = 1000;

/**
 * Reads tokens, one per line; blank lines and those that begin with `#` are passed over, and so is space around a token.
 * Messages name the line, never what stands there.
 *
 * @param name of the file, for messages.
 * @throws InvalidInputError `FIELD_INVALID` for a line that is no token, and without any; LimitExceededError
 * `LIMIT_EXCEEDED` for more than 1,000.
 */
export function parseTokens(text: string, name: string): string[] {
  const tokens: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const token = line.trim();
    if (token === "" || token.startsWith("#")) continue;
    assertToken(token, `line ${index + 1} of "${name}"`);
    tokens.push(token);
  }
  assertCount(tokens, `"${name}"`);
  return tokens;
}

/** Guards a list of tokens from a program. @throws what {@link parseTokens} throws. */
export function assertTokens(tokens: readonly string[]): void {
  for (const [index, token] of tokens.entries()) assertToken(token, `tokens[${index}]`);
  assertCount(tokens, "tokens");
}

function assertToken(token: string, where: string): void {
  if (token.length < minTokenLength || token.length > maxTokenLength) {
    const message = `${where} has ${token.length} characters; a token has ${minTokenLength} to ${maxTokenLength}, such as \`openssl rand -hex 32\` prints`;
    throw new InvalidInputError("FIELD_INVALID", message, { where, found: token.length });
  }
  const at = token.search(/[^\x21-\x7e]/);
  if (at < 0) return;
  const message = `${where} has a character at ${at + 1} that a token cannot have: allowed are ASCII letters, digits and signs, without spaces; one token per line`;
  throw new InvalidInputError("FIELD_INVALID", message, { where, position: at + 1 });
}

function assertCount(tokens: readonly string[], where: string): void {
  if (tokens.length === 0) {
    const message = `${where} has no token, so that nobody could call; add one, such as \`openssl rand -hex 32\` prints`;
    throw new InvalidInputError("FIELD_INVALID", message, { where });
  }
  if (tokens.length <= maxTokens) return;
  const message = `${where} has ${tokens.length} tokens; ${maxTokens} are allowed, for every call is compared with each`;
  throw new LimitExceededError("LIMIT_EXCEEDED", message, { found: tokens.length, allowed: maxTokens });
}

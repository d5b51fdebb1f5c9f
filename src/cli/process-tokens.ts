import type { TokenFile } from "../rpc/tokens/open-token-file.js";
import { isAmong, type TokenSet } from "../rpc/tokens/token-set.js";

/** The tokens in force, as the first process tells them to the others. */
interface TokensMessage {
  readonly type: "tokens";
  /** SHA-256 of each, as hexadecimal. */
  readonly digests: readonly string[];
}

/** What the first process tells those that it started. */
export function toTokensMessage({ digests }: Pick<TokenFile, "digests">): TokensMessage {
  return { type: "tokens", digests: digests.map((digest) => Buffer.from(digest).toString("hex")) };
}

/**
 * The tokens of the process that started this one, then and later: it alone reads the file, so that all have the same, and one
 * that is started while the file cannot be used has those from before.
 *
 * @param ask sends that they are wanted.
 */
export async function receiveTokens(ask: () => Promise<void>): Promise<TokenSet> {
  let digests: readonly Uint8Array[] = [];
  const first = new Promise<void>((resolve) => {
    process.on("message", (message) => {
      if (!isTokensMessage(message)) return;
      digests = message.digests.map((digest) => Buffer.from(digest, "hex"));
      resolve();
    });
  });
  await ask();
  await first;
  return { has: (token) => isAmong(digests, token) };
}

function isTokensMessage(message: unknown): message is TokensMessage {
  return typeof message === "object" && message !== null && "type" in message && message.type === "tokens";
}

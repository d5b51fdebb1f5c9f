import { isLoopback } from "../rpc/loopback.js";
import { openTokenFile, type TokenFile } from "../rpc/tokens/open-token-file.js";
import { usageError } from "./exit-codes.js";
import type { ServeOptions } from "./serve-options.js";
import { toPlain } from "./table.js";

/**
 * Opens the file of tokens that `serve` is given, if it is given one, and says what comes of it now and when it changes.
 *
 * @throws CommandError for a file that cannot be used.
 */
export async function openServeTokens(
  { tokenFile: path, tlsCert, listen }: ServeOptions,
  remark: (line: string) => void,
): Promise<TokenFile | undefined> {
  if (path === undefined) return undefined;
  const tokens = await openTokenFile(path).catch((cause: unknown) => {
    throw usageError(`--token-file: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  const say = (line: string): void => remark(toPlain(line));
  const sayCount = (): void => {
    const { length } = tokens.digests;
    say(`calls need ${length === 1 ? "the token" : `one of ${length} tokens`} of ${path}; health does not`);
  };
  sayCount();
  if (tlsCert === undefined && !isLoopback(listen.host)) {
    say(
      `warning: without TLS tokens come to ${listen.host} as plaintext, and whoever reads one on its way can use it; give --tls-cert and --tls-key`,
    );
  }
  tokens.onReload((error) => {
    if (error === undefined) sayCount();
    else say(`the tokens stay as they were: ${error.message}`);
  });
  return tokens;
}

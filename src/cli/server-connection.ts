import { readFile } from "node:fs/promises";
import { expertNotFound, findExpert } from "../experts/catalogue.js";
import type { ProbestreamClient } from "../rpc/client.js";
import { readTokenFile } from "../rpc/tokens/read-token-file.js";
import { toFileError } from "../weights/to-file-error.js";
import type { Environment } from "./environment.js";
import { CommandError, exitCodes, usageError } from "./exit-codes.js";
import { parseTarget } from "./option-values.js";

/** Options of every command that connects. */
export interface ConnectionOptions {
  /** `HOST:PORT`. */
  readonly server?: string;
  readonly tls?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** File with the token. */
  readonly serverTokenFile?: string;
}

/** The server where no other is named, and the token where no file is. */
export type ServerDefaults = Pick<Environment, "server" | "serverToken">;

/** Connects to a server and makes sure that one is there. Throws what the first call throws. */
export async function connectToServer(
  options: ConnectionOptions,
  defaults: ServerDefaults,
): Promise<ProbestreamClient> {
  const { tls = false, tlsCa, tlsCert, tlsKey, serverTokenFile, server: target = defaults.server } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw usageError("--tls-cert and --tls-key belong together: give both, or neither");
  }
  if (options.server === undefined) assertFallback(defaults.server);
  const isSecure = tls || tlsCa !== undefined || tlsCert !== undefined;
  // Only now: to load gRPC takes a third of a second, which commands without a server need not wait.
  const { connect } = await import("../rpc/client.js");
  const client = connect({
    target,
    token: serverTokenFile === undefined ? defaults.serverToken : await readToken(serverTokenFile),
    ...(isSecure && {
      tls: {
        authority: await readPem("--tls-ca", tlsCa),
        certificate: await readPem("--tls-cert", tlsCert),
        privateKey: await readPem("--tls-key", tlsKey),
      },
    }),
  });
  try {
    await client.serverInfo();
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Connects. An expert's name that is wrong for one model is wrong for all: better said once, before anything is read. */
export async function connectToExperts(
  options: ConnectionOptions,
  defaults: ServerDefaults,
  wanted: readonly string[],
): Promise<ProbestreamClient> {
  const client = await connectToServer(options, defaults);
  try {
    await assertHasExperts(client, options.server ?? defaults.server, wanted);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Guards that a server has experts of these names. */
export async function assertHasExperts(
  client: Pick<ProbestreamClient, "listExperts">,
  target: string,
  wanted: readonly string[],
): Promise<void> {
  const { experts } = wanted.length === 0 ? { experts: [] } : await client.listExperts();
  for (const word of wanted) {
    if (findExpert(experts, word) !== undefined) continue;
    throw expertNotFound(word, `on the server ${target}; it has`, experts);
  }
}

/** Guards an address that comes from the environment; that of an option is checked when it is read. */
function assertFallback(fallback: string): void {
  try {
    parseTarget(fallback);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`PROBESTREAM_SERVER is "${fallback}". ${why}`, exitCodes.usage, { cause });
  }
}

/** The first token of a file, which may be the server's own. */
async function readToken(path: string): Promise<string | undefined> {
  const tokens = await readTokenFile(path).catch((cause: unknown) => {
    throw usageError(`--server-token-file: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  return tokens[0];
}

/** Reads a PEM file that an option names. */
export async function readPem(option: string, path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined;
  return readFile(path).catch((cause: unknown) => {
    throw usageError(`${option}: ${toFileError(cause, path).message}`);
  });
}

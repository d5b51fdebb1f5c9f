import { InvalidInputError } from "../../../src/errors/probestream-error.js";
import { connect as connectTo } from "../../../src/rpc/client.js";
import type { ClientTls } from "../../../src/rpc/client-credentials.js";
import { assertOptions } from "./assert-options.js";
import { Client } from "./client.js";

/** Where a server listens if nothing else is said. */
export const defaultTarget = "127.0.0.1:50051";

/** 3: with their pauses, 1.4 to 2.8 seconds, in which a server is started anew. */
const defaultRetries = 3;

/** How to connect. */
export interface ConnectOptions {
  /** True for TLS with the system's authorities, or contents of PEM files. Default plaintext. */
  readonly tls?: boolean | Tls | undefined;
  /** Sent with every call as `authorization: Bearer …`. Beyond this machine only over TLS. */
  readonly token?: string | undefined;
  /** Milliseconds that a call other than an upload may take, the plan of an upload included. Default 60,000. */
  readonly deadlineMs?: number | undefined;
  /** Further attempts of calls that only read, where the server cannot be reached. Uploads have their own. Default 3. */
  readonly retries?: number | undefined;
}

/** Contents of PEM files. */
export interface Tls {
  /** Authorities that the server's certificate may be of. Default the system's. */
  readonly authority?: Buffer | string | undefined;
  /** This client's certificate, where the server wants one (mTLS). */
  readonly certificate?: Buffer | string | undefined;
  /** Its private key. */
  readonly privateKey?: Buffer | string | undefined;
}

/**
 * Connects to a server. Nothing is sent until the first call.
 *
 * @param target `HOST:PORT`, or one with a scheme of gRPC, `unix:PATH` say.
 * @throws InvalidInputError `FIELD_INVALID` for a target that is none, for options that it does not have, for keys that cannot be used, and for a token that would travel in the clear.
 */
export function connect(target: string = defaultTarget, options: ConnectOptions = {}): Client {
  assertOptions(options, ["tls", "token", "deadlineMs", "retries"], "connect");
  const { tls = false, token, deadlineMs, retries = defaultRetries } = options;
  return new Client(
    connectTo({
      target,
      retries,
      ...(tls !== false && { tls: tls === true ? {} : toClientTls(tls) }),
      ...(token !== undefined && { token }),
      ...(deadlineMs !== undefined && { deadlineMs }),
    }),
  );
}

function toClientTls({ authority, certificate, privateKey }: Tls): ClientTls {
  return {
    authority: toPem(authority, "authority"),
    certificate: toPem(certificate, "certificate"),
    privateKey: toPem(privateKey, "privateKey"),
  };
}

function toPem(content: Buffer | string | undefined, field: string): Buffer | undefined {
  if (content === undefined) return undefined;
  const bytes = Buffer.from(content);
  if (bytes.includes("-----BEGIN ")) return bytes;
  const message = `tls.${field} is no PEM text; give the content of the file, readFileSync(path) say, not its path`;
  throw new InvalidInputError("FIELD_INVALID", message, { field: `tls.${field}` });
}

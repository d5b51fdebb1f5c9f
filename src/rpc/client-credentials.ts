import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";
import { InvalidInputError } from "../errors/probestream-error.js";
import { isLoopbackTarget } from "./loopback.js";

/** Contents of PEM files; without `authority` the system's authorities are believed. */
export interface ClientTls {
  readonly authority?: Buffer | undefined;
  /** The client's own certificate, where the server wants one. */
  readonly certificate?: Buffer | undefined;
  readonly privateKey?: Buffer | undefined;
}

/**
 * What goes along with each call; grpc-js adds to it, so that each needs its own.
 *
 * @throws InvalidInputError `FIELD_INVALID` for a token that would travel in the clear, or that no header can hold.
 */
export function toMetadataFactory(token: string | undefined, target: string, isEncrypted: boolean): () => Metadata {
  if (token === undefined) return () => new Metadata();
  assertToken(token);
  if (!isEncrypted && !isLoopbackTarget(target)) {
    const message = `the token would go to ${target} unencrypted, for all to read; connect with tls`;
    throw new InvalidInputError("FIELD_INVALID", message, { target });
  }
  return () => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    return metadata;
  };
}

/** Messages never hold the token, which is a secret. */
function assertToken(token: string): void {
  const fault = findFault(token);
  if (fault !== undefined) throw new InvalidInputError("FIELD_INVALID", `the token ${fault}`);
}

function findFault(token: string): string | undefined {
  if (token === "") return "is empty; leave it out for a server that wants none";
  if (/^[\x21-\x7e]+$/.test(token)) return undefined;
  if (/[\r\n]/.test(token)) return "holds a line break, as the content of a file does; give it without its line end";
  return "has characters that a header cannot hold; check it";
}

/** Credentials for TLS. @throws InvalidInputError `FIELD_INVALID` for keys and certificates that cannot be used. */
export function toTlsCredentials({ authority, certificate, privateKey }: ClientTls): ChannelCredentials {
  try {
    return credentials.createSsl(authority ?? null, privateKey ?? null, certificate ?? null);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the keys and certificates of tls cannot be used: ${why}. Give the content of PEM files; a certificate and its private key go together.`;
    throw new InvalidInputError("FIELD_INVALID", message, {}, { cause });
  }
}

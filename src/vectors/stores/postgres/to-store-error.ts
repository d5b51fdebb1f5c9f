import {
  AccessDeniedError,
  type ErrorFacts,
  InternalError,
  InvalidInputError,
  ProbestreamError,
  UnavailableError,
} from "../../../errors/probestream-error.js";

/** Codes of Node for a connection that could not be made or broke. */
const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);

/** Messages of `pg` for the same, which carry no code. */
const networkMessages = /^(Connection terminated|timeout e(xpired|xceeded)|Client was closed|Client has encountered)/;

/** Messages of `pg` for a server that wants a password where there is none. */
const passwordMessages = /^SASL: .*password must be/;
/** Message of `pg` for a server without TLS where the connection is to have it. */
const plainServerMessage = "The server does not support SSL connections";
/** Node's codes for a certificate that is not trusted, and for TLS that could not be agreed on. */
const tlsCodes = /CERT|^UNABLE_TO_VERIFY|^ERR_SSL|^ERR_TLS/;

/** The five characters of an SQLSTATE, or Node's code. See https://www.postgresql.org/docs/current/errcodes-appendix.html. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Whether the server went away, is starting, stopping or has no room for a connection: the statement may have been carried
 * out or not, and another try may help.
 */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isConnectionLost);
  const code = codeOf(error);
  // 25P03, 25P04: the server ended a session whose transaction stood still or took too long, and has undone it.
  if (networkCodes.has(code) || /^(08...|57P0[1-5]|53300|25P0[34])$/.test(code)) return true;
  return error instanceof Error && code === "" && networkMessages.test(error.message);
}

/** Whether the server has undone a transaction for another's sake, so that it can be run again. */
export function isUndone(error: unknown): boolean {
  return ["40001", "40P01"].includes(codeOf(error));
}

/** An error of `pg` as one of ours; `place` says which server, for people. */
export function toStoreError(error: unknown, place: string): ProbestreamError {
  if (error instanceof ProbestreamError) return error;
  const code = codeOf(error);
  const message = error instanceof AggregateError ? error.errors.map(String).join("; ") : toMessage(error);
  const facts: ErrorFacts = { place, ...(code !== "" && { code }) };
  const options = { cause: error };
  if (isConnectionLost(error)) {
    const text = `the PostgreSQL server at ${place} cannot be reached now (${message}); try again once it is there`;
    return new UnavailableError("SOURCE_UNAVAILABLE", text, facts, options);
  }
  // 53: no disk, no memory. 25006: a standby, as after a failover. 55: locked by others for too long.
  if (code.startsWith("53") || code === "25006" || code.startsWith("55")) {
    const text = `the PostgreSQL server at ${place} cannot do this now (${message}); see to it, then try again`;
    return new UnavailableError("SOURCE_UNAVAILABLE", text, facts, options);
  }
  // 57014: by its `statement_timeout`; what we cancel ourselves is never told. 40001, 40P01: undone again and again.
  if (code === "57014") {
    const text = `the PostgreSQL server at ${place} ended a statement (${message}); try again, or raise statement_timeout for the user of the connection string (ALTER ROLE … SET statement_timeout)`;
    return new UnavailableError("SOURCE_UNAVAILABLE", text, facts, options);
  }
  if (isUndone(error)) {
    const text = `the PostgreSQL server at ${place} undid this each time for others that change the same (${message}); try again`;
    return new UnavailableError("SOURCE_UNAVAILABLE", text, facts, options);
  }
  if (passwordMessages.test(message)) {
    const text = `the PostgreSQL server at ${place} asks for a password, and there is none; give it in the connection string (postgres://USER:PASSWORD@HOST/DATABASE) or in PGPASSWORD`;
    return new AccessDeniedError("ACCESS_DENIED", text, facts, options);
  }
  if (message === plainServerMessage) {
    const text = `the PostgreSQL server at ${place} does not speak TLS; switch it on there (ssl = on), or leave out sslmode (sslmode=disable) in the connection string`;
    return new InvalidInputError("FIELD_INVALID", text, facts, options);
  }
  if (tlsCodes.test(code)) {
    const text = `the certificate of the PostgreSQL server at ${place} is not accepted (${message}); name the authority that signed it by sslrootcert=FILE in the connection string, or take any by sslmode=no-verify`;
    return new InvalidInputError("FIELD_INVALID", text, facts, options);
  }
  if (code.startsWith("28") || code === "42501") {
    const text = `the PostgreSQL server at ${place} does not allow this (${message}); grant the user of the connection string what it needs (docs/postgres.md)`;
    return new AccessDeniedError("ACCESS_DENIED", text, facts, options);
  }
  if (code === "3D000") {
    const text = `there is no such database on the PostgreSQL server at ${place} (${message}); make it with CREATE DATABASE, or name another in the connection string`;
    return new InvalidInputError("FIELD_INVALID", text, facts, options);
  }
  // 22P05, 22021: a character that it cannot store. 54000: a row or key that is too long for it.
  if (["22P05", "22021", "54000"].includes(code)) {
    const text = `the PostgreSQL server at ${place} cannot store this (${message})`;
    return new InvalidInputError("FIELD_INVALID", text, facts, options);
  }
  return new InternalError("INTERNAL", `the PostgreSQL server at ${place} answered: ${message}`, facts, options);
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

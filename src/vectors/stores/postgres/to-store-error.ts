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
  if (networkCodes.has(code) || code.startsWith("08") || /^57P0[1-5]$/.test(code) || code === "53300") return true;
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

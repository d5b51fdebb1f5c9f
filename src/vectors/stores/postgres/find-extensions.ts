import { PreconditionError, ProbestreamError } from "../../../errors/probestream-error.js";
import { type Database, quoteSqlName } from "./database.js";

/** What the database has beside PostgreSQL itself. */
export interface Extensions {
  /** Schema of pgvector, quoted for SQL. */
  readonly vectorSchema: string;
  /** Object id of the type `vector`. */
  readonly vectorTypeId: number;
  /** Whether pgvector, from 0.8.0 on, can go on with a scan of its index until enough rows pass the filter. */
  readonly hasIterativeScan: boolean;
  readonly isCitus: boolean;
}

/**
 * Finds pgvector, and makes the extension where it is installed but not made.
 *
 * @throws PreconditionError `STORE_MISSING` if it is not there and cannot be made; the message names the command.
 */
export async function findExtensions(database: Database): Promise<Extensions> {
  const found = await readExtensions(database);
  if (found !== undefined) return found;
  try {
    await database.transaction(({ query }) => query("CREATE EXTENSION IF NOT EXISTS vector"));
  } catch (cause) {
    // Another server may have made it just now.
    const other = await readExtensions(database);
    if (other !== undefined) return other;
    throw toMissing(cause, database.place);
  }
  const made = await readExtensions(database);
  if (made !== undefined) return made;
  throw toMissing(undefined, database.place);
}

function toMissing(cause: unknown, place: string): PreconditionError {
  const reason = cause instanceof ProbestreamError ? cause.message : "it was made, and is not there";
  const message = `the database ${place} lacks pgvector, and it could not be made (${reason}); install it beside the server (Debian: apt-get install postgresql-17-pgvector), then run CREATE EXTENSION vector; in that database, as its owner or a superuser`;
  return new PreconditionError("STORE_MISSING", message, { place }, { cause });
}

async function readExtensions(database: Database): Promise<Extensions | undefined> {
  const rows = await database.read<{ name: string; version: string; schema: string; type: number | null }>(
    `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema,
            (SELECT t.oid FROM pg_type t WHERE t.typname = 'vector' AND t.typnamespace = n.oid) AS type
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname IN ('vector', 'citus')`,
  );
  const vector = rows.find(({ name }) => name === "vector");
  if (vector?.type == null) return undefined;
  const [major = 0, minor = 0] = vector.version.split(".").map(Number);
  return {
    vectorSchema: quoteSqlName(vector.schema),
    vectorTypeId: vector.type,
    hasIterativeScan: major > 0 || minor >= 8,
    isCitus: rows.some(({ name }) => name === "citus"),
  };
}

import { PreconditionError } from "../../../errors/probestream-error.js";
import type { Database, Transaction } from "./database.js";

/** Oldest PostgreSQL that takes all statements, as `server_version_num` has it. */
const oldestServer = 150_000;

/**
 * Steps from an empty schema to the present one, in order. A step that was released never changes; a new one comes after it.
 * Every unique constraint includes what Citus distributes by: tables here are small and the same on all its nodes.
 */
const steps: readonly ((schema: string) => readonly string[])[] = [
  (schema) => [
    `CREATE TABLE ${schema}.spaces (
       number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       space_id text COLLATE "C" NOT NULL UNIQUE,
       width integer NOT NULL,
       expert_name text COLLATE "C" NOT NULL,
       state text NOT NULL CHECK (state IN ('filling', 'serving', 'retired'))
     )`,
    `CREATE TABLE ${schema}.uploads (
       upload_id text COLLATE "C" PRIMARY KEY,
       owner uuid NOT NULL,
       state bytea NOT NULL,
       bytes bigint NOT NULL,
       expires_at timestamptz NOT NULL
     )`,
    `CREATE INDEX uploads_expiry ON ${schema}.uploads (expires_at)`,
  ],
];

/**
 * Waits for the right to change the schema, which one transaction of all servers has at a time, and keeps it to the
 * transaction's end.
 */
export async function lockSchema({ query }: Transaction, { schema }: Database): Promise<void> {
  await query("SELECT pg_advisory_xact_lock(hashtextextended('probestream ' || $1::text, 0))", [schema]);
}

/**
 * Brings the schema up to date. Servers that start together take turns; where nothing is to be done, no right to make
 * tables is needed.
 *
 * @throws PreconditionError `STORE_MISSING` if the server is older than PostgreSQL 15, its database is not in UTF-8, or the
 * schema is of a newer Probestream.
 */
export async function migrate(database: Database): Promise<void> {
  await assertServer(database);
  if ((await readVersion(database)) === steps.length) return;
  const { schema } = database;
  await database.transaction(async (transaction) => {
    const { query } = transaction;
    await lockSchema(transaction, database);
    const [there] = await query("SELECT 1 WHERE to_regnamespace($1) IS NOT NULL", [schema]);
    if (there === undefined) await query(`CREATE SCHEMA ${schema}`);
    await query(
      `CREATE TABLE IF NOT EXISTS ${schema}.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const [row] = await query<{ version: number }>(
      `SELECT COALESCE(max(version), 0) AS version FROM ${schema}.migrations`,
    );
    for (let version = row?.version ?? 0; version < steps.length; version++) {
      for (const statement of steps[version]?.(schema) ?? []) await query(statement);
      await query(`INSERT INTO ${schema}.migrations (version) VALUES ($1)`, [version + 1]);
    }
  });
}

/** Version of the schema, 0 where there is none. */
async function readVersion(database: Database): Promise<number> {
  const { schema, place } = database;
  const table = `${schema}.migrations`;
  const [there] = await database.read("SELECT 1 WHERE to_regclass($1) IS NOT NULL", [table]);
  if (there === undefined) return 0;
  const [row] = await database.read<{ version: number }>(`SELECT COALESCE(max(version), 0) AS version FROM ${table}`);
  const version = row?.version ?? 0;
  if (version <= steps.length) return version;
  const message = `the schema ${schema} at ${place} has version ${version}, and this Probestream knows ${steps.length}; update it, or choose another schema`;
  throw new PreconditionError("STORE_MISSING", message, { found: version, known: steps.length });
}

async function assertServer(database: Database): Promise<void> {
  const [server] = await database.read<{ version: number; name: string; encoding: string }>(
    `SELECT current_setting('server_version_num')::integer AS version, current_setting('server_version') AS name,
            current_setting('server_encoding') AS encoding`,
  );
  if (server === undefined) return;
  const { version, name, encoding } = server;
  if (version < oldestServer) {
    const message = `PostgreSQL ${name} runs at ${database.place}; 15 or later is needed`;
    throw new PreconditionError("STORE_MISSING", message, { found: version, allowed: oldestServer });
  }
  if (encoding !== "UTF8") {
    const message = `the database ${database.place} is encoded in ${encoding}; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`;
    throw new PreconditionError("STORE_MISSING", message, { found: encoding });
  }
}

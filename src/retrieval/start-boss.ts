import PgBoss from "pg-boss";
import { InvalidInputError } from "../errors/probestream-error.js";
import type { Database, SqlValue, Transaction } from "../vectors/stores/postgres/database.js";

/** Characters that pg-boss takes for a schema's name. */
const maxSchemaCharacters = 50;

/** The schema that pg-boss has for itself beside a store's: `probestream` has `probestream_jobs`. */
export function toJobSchema(schema = "probestream"): string {
  const name = `${schema.replace(/\W/g, "_")}_jobs`;
  if (name.length <= maxSchemaCharacters && !/^\d/.test(name)) return name;
  const message = `the schema of the job queue would be ${name}; it takes at most ${maxSchemaCharacters} characters and no digit first: choose a shorter schema`;
  throw new InvalidInputError("FIELD_INVALID", message, { name });
}

/** A transaction or session as pg-boss takes it, to run its statements there. */
export function toBossDatabase({ query }: Transaction): PgBoss.Db {
  return {
    executeSql: async (sql: string, values: unknown[]) => ({
      rows: [...(await query(sql, values as readonly SqlValue[]))],
    }),
  };
}

/**
 * Starts pg-boss, and makes its tables and a queue where they are not there. Its maintenance is off.
 *
 * @param schema of its tables, as {@link toJobSchema} gives it.
 */
export async function startBoss(database: Database, schema: string, queue: PgBoss.Queue): Promise<PgBoss> {
  // pg-boss makes its tables under a lock of its own, yet of two that start together the second fails half-way, to find
  // all there the next time. Where the connection is a session of the server's, ours keeps that from happening.
  return startOnce(database, schema, queue).catch(() => startOnce(database, schema, queue));
}

async function startOnce(database: Database, schema: string, queue: PgBoss.Queue): Promise<PgBoss> {
  let execute: Database["execute"] = database.execute;
  const boss = new PgBoss({
    schema,
    db: { executeSql: (sql: string, values: unknown[]) => execute(sql, values) },
    supervise: false,
    schedule: false,
  });
  // What its calls throw is enough to hear of.
  boss.on("error", () => {});
  await database.session(async (session) => {
    await session.query("SELECT pg_advisory_lock(hashtextextended('probestream ' || $1::text, 0))", [schema]);
    execute = toBossDatabase(session).executeSql;
    await boss.start();
    await boss.createQueue(queue.name, queue);
  });
  execute = database.execute;
  return boss;
}

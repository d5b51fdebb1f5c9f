import { randomUUID } from "node:crypto";
import { openDatabase } from "../src/vectors/stores/postgres/database.js";
import { openPostgresStore } from "../src/vectors/stores/postgres/open-postgres-store.js";
import type { VectorStore } from "../src/vectors/vector-store.js";
import { requirePostgres } from "./require-postgres.js";

interface Place {
  readonly connectionString: string;
  readonly schema: string;
}

/** Makes a schema of its own on the server that PROBESTREAM_TEST_POSTGRES names. */
export async function createPlace(connectionString = requirePostgres()): Promise<string> {
  const place: Place = { connectionString, schema: `crash_${randomUUID()}` };
  return JSON.stringify(place);
}

/** Removes it. */
export async function removePlace(place: string): Promise<void> {
  const database = openDatabase({ ...(JSON.parse(place) as Place), maxConnections: 1 });
  await database.transaction(({ query }) => query(`DROP SCHEMA IF EXISTS ${database.schema} CASCADE`));
  await database.close();
}

/** Opens the store that is there. Its indexes are made early, so that they are there to be hurt. */
export async function openStore(place: string): Promise<VectorStore> {
  return openPostgresStore({
    ...(JSON.parse(place) as Place),
    maxConnections: 5,
    indexFromCount: 100,
    indexIdleMs: 50,
    indexMemoryMiB: 64,
  });
}

import { randomUUID } from "node:crypto";
import test from "ava";
import { toJobSchema } from "../../src/retrieval/start-boss.js";
import { openDatabase } from "../../src/vectors/stores/postgres/database.js";
import { type PGliteServer, startPGliteServer } from "./pglite-server.js";
import type { Teardown } from "./temporary-folder.js";

/** Tests that use the server at once: all of a file start together, and PGlite has one session. */
const testsAtOnce = 4;

/** What the server knows the connections of these tests by: those of others are left alone. */
const applicationName = `probestream-test-${process.pid}`;

/** PostgreSQL with pgvector, for the tests of one file. */
export interface TestPostgres {
  /** What it is, for titles: `PostgreSQL`, or `PGlite` where no server is named. */
  readonly name: string;
  connectionString(): Promise<string>;
  /** Breaks all connections, as a server that restarts. */
  breakConnections(): Promise<void>;
  /** A schema that no other test uses; it is dropped after the test. Waits for the test's turn. */
  schema(t: Teardown): Promise<string>;
}

/**
 * The server that PROBESTREAM_TEST_POSTGRES names (`.ci/postgres` sets it), or else PostgreSQL compiled to WebAssembly in
 * this process, started when it is first needed.
 */
export function useTestPostgres(): TestPostgres {
  const named = withName(process.env["PROBESTREAM_TEST_POSTGRES"]);
  let started: Promise<PGliteServer> | undefined;
  const waiting: (() => void)[] = [];
  let free = testsAtOnce;
  const seen = new WeakSet<Teardown>();
  const takeTurn = async (t: Teardown): Promise<void> => {
    if (seen.has(t)) return;
    seen.add(t);
    if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    else free--;
    t.teardown(() => {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    });
  };
  const connectionString = async (): Promise<string> => {
    if (named !== undefined) return named;
    started ??= startPGliteServer();
    return (await started).connectionString;
  };
  test.after.always("the server is stopped", async () => (await started)?.stop());
  if (named === undefined) test.skip("on a PostgreSQL server: PROBESTREAM_TEST_POSTGRES names none", () => {});
  return {
    name: named === undefined ? "PGlite" : "PostgreSQL",
    connectionString,
    breakConnections: async () => {
      if (named === undefined) return (await started)?.breakConnections();
      const database = openDatabase({ connectionString: named, maxConnections: 1 });
      await database.read(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()",
        [applicationName],
      );
      await database.close();
    },
    schema: async (t) => {
      await takeTurn(t);
      const name = `test "${randomUUID()}`;
      if (named !== undefined) {
        const database = openDatabase({ connectionString: named, schema: name, maxConnections: 1 });
        // After what the test itself opened later has been closed.
        t.teardown(async () => {
          for (const schema of [database.schema, toJobSchema(name)])
            await database.transaction(({ query }) => query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
          await database.close();
        });
      }
      return name;
    },
  };
}

function withName(connectionString: string | undefined): string | undefined {
  if (connectionString === undefined) return undefined;
  const url = new URL(connectionString);
  url.searchParams.set("application_name", applicationName);
  return url.href;
}

import { createPlace as createSchema, openStore } from "./crash-postgres.js";
import { type PostgresCluster, startPostgresCluster } from "./postgres-cluster.js";

export { openStore };

let cluster: PostgresCluster | undefined;
let interruptions = 0;

/** Starts a server of its own. */
export async function createPlace(): Promise<string> {
  cluster = await startPostgresCluster();
  return createSchema(cluster.connectionString);
}

/** Stops and removes it. */
export async function removePlace(): Promise<void> {
  await cluster?.remove();
}

/** Stops the server at once, or kills it, by turns, and starts it again. */
export async function interrupt(): Promise<void> {
  await cluster?.restart(interruptions++ % 2 === 0 ? "immediate" : "kill");
}

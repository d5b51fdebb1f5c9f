import type { JobQueue } from "../retrieval/job-queue.js";
import { usageError } from "./exit-codes.js";
import { isPostgresUrl } from "./open-store.js";

/**
 * Opens the queue of models to index that `--queue` names.
 *
 * @throws CommandError for what is no PostgreSQL URL; what opening throws.
 */
export async function openQueue(place: string): Promise<JobQueue> {
  if (!isPostgresUrl(place)) throw usageError("--queue must be a PostgreSQL database: postgres://USER@HOST/NAME");
  const { openPostgresJobQueue } = await import("../retrieval/postgres-job-queue.js");
  return openPostgresJobQueue({ connectionString: place });
}

import { createHash } from "node:crypto";
import type PgBoss from "pg-boss";
import { InvalidInputError } from "../errors/probestream-error.js";
import {
  type Database,
  type DatabaseOptions,
  openDatabase,
  quoteSqlName,
  type SqlValue,
} from "../vectors/stores/postgres/database.js";
import { toStoreError } from "../vectors/stores/postgres/to-store-error.js";
import type { FailedJob, JobCounts, JobQueue, NewJob, TakenJob } from "./job-queue.js";
import { startBoss, toBossDatabase, toJobSchema } from "./start-boss.js";

/** How a queue on PostgreSQL is set up. */
export interface PostgresJobQueueOptions extends DatabaseOptions {
  /** Name of the queue: letters, digits, `_` and `-`. Queues of other names know nothing of each other. Default `index`. */
  readonly name?: string;
  /** How long a job stays its worker's without being extended, in milliseconds; whole seconds. Default 60,000. */
  readonly leaseMs?: number;
  /** How often a job is tried again after it failed or its worker died, before it is given up. Default 3. */
  readonly retryLimit?: number;
  /** Pause before the first further try, in milliseconds; it doubles. Whole seconds. Default 5,000. */
  readonly retryDelayMs?: number;
}

/** Connections at most by default: a worker takes, extends and completes. */
const defaultConnections = 4;
/** Jobs in one statement. */
const jobsPerStatement = 5000;
/** Characters of a message that are kept. */
const maxMessageCharacters = 2000;

interface JobRow {
  readonly id: string;
  readonly data: { readonly location: string; readonly options: TakenJob["options"] };
  readonly retryCount: number;
}

/**
 * Opens a queue of jobs on PostgreSQL, kept by pg-boss in a schema of its own. Its maintenance, which would move finished
 * jobs to an archive and drop them after a while, is off: they stay until {@link JobQueue.clear}.
 *
 * @throws UnavailableError `SOURCE_UNAVAILABLE`, AccessDeniedError `ACCESS_DENIED`; InvalidInputError `FIELD_INVALID` for a
 * name that cannot be.
 */
export async function openPostgresJobQueue(options: PostgresJobQueueOptions): Promise<JobQueue> {
  const { name = "index", leaseMs = 60_000, retryLimit = 3, retryDelayMs = 5000 } = options;
  if (!/^[\w-]{1,64}$/.test(name)) {
    const message = `the queue is called ${JSON.stringify(name)}; a name has 1 to 64 of letters, digits, _ and -`;
    throw new InvalidInputError("FIELD_INVALID", message, { name });
  }
  const schema = toJobSchema(options.schema);
  const database = openDatabase({ maxConnections: defaultConnections, ...options, schema });
  const queue = {
    name,
    policy: "standard" as const,
    retryLimit,
    retryDelay: Math.round(retryDelayMs / 1000),
    retryBackoff: true,
    expireInSeconds: Math.max(1, Math.round(leaseMs / 1000)),
  };
  let boss: PgBoss;
  try {
    boss = await startBoss(database, schema, queue);
  } catch (error) {
    await database.close();
    throw toStoreError(error, database.place);
  }
  return createQueue(boss, database, `${quoteSqlName(schema)}.job`, { name, leaseMs, retryLimit });
}

function createQueue(
  boss: PgBoss,
  database: Database,
  table: string,
  { name, leaseMs, retryLimit }: Required<Pick<PostgresJobQueueOptions, "name" | "leaseMs" | "retryLimit">>,
): JobQueue {
  let expiredAt = 0;
  /** Lets jobs whose workers died be taken again; a few times per lease is often enough. */
  const expire = async (): Promise<void> => {
    if (Date.now() - expiredAt < leaseMs / 4) return;
    expiredAt = Date.now();
    await boss.expire();
  };
  const write = (sql: string, values: readonly SqlValue[]) =>
    database.transaction(({ query }) => query<{ id: string }>(sql, values), { isRepeatable: true });

  // The number of a try tells who has a job now from who had it before.
  const isMine = "name = $1 AND (id, retry_count) IN (SELECT * FROM unnest($2::uuid[], $3::integer[]))";
  const toMine = (jobs: readonly TakenJob[]): SqlValue[] => [name, toIds(jobs), jobs.map(({ attempt }) => attempt - 1)];

  return {
    description: `queue ${name} at postgres at ${database.place}`,
    leaseMs,
    add: async (jobs) => {
      const rows = new Map(
        jobs.map(({ location, options = {} }) => [toJobId({ location, options }), { location, options }]),
      );
      const ids = [...rows.keys()];
      return database.transaction(
        async (transaction) => {
          const { query } = transaction;
          let added = 0;
          for (let start = 0; start < ids.length; start += jobsPerStatement) {
            const part = ids.slice(start, start + jobsPerStatement);
            const count = async (): Promise<number> => {
              const sql = `SELECT count(*)::integer AS count FROM ${table} WHERE name = $1 AND id = ANY($2::uuid[])`;
              return (await query<{ count: number }>(sql, [name, part]))[0]?.count ?? 0;
            };
            const before = await count();
            await boss.insert(
              part.map((id) => ({ id, name, data: rows.get(id) ?? {} })),
              { db: toBossDatabase(transaction) },
            );
            added += (await count()) - before;
            // Taken before, they are told from earlier tries by their number, which goes on.
            const again = await query(
              `UPDATE ${table} SET state = 'retry', retry_limit = retry_count + 1 + $3::integer, start_after = now(),
                 created_on = now(), completed_on = NULL, output = NULL
               WHERE name = $1 AND id = ANY($2::uuid[]) AND state >= 'completed' RETURNING id`,
              [name, part, retryLimit],
            );
            added += again.length;
          }
          return added;
        },
        { isRepeatable: true },
      );
    },
    take: async (count) => {
      await expire();
      const rows: readonly JobRow[] = await boss.fetch<JobRow["data"]>(name, {
        batchSize: count,
        includeMetadata: true,
      });
      return rows.map(({ id, data, retryCount }) => ({ jobId: id, ...data, attempt: retryCount + 1 }));
    },
    extend: async (jobs) => {
      // pg-boss counts a lease from the start of the work, and has no call to renew it.
      await write(`UPDATE ${table} SET started_on = now() WHERE ${isMine} AND state = 'active'`, toMine(jobs));
    },
    complete: async (jobs) => {
      if (jobs.length === 0) return 0;
      // Also one whose lease has ended meanwhile: nobody need do it again.
      const done = await write(
        `UPDATE ${table} SET state = 'completed', completed_on = now()
         WHERE name = $1 AND id = ANY($2::uuid[]) AND state < 'completed' RETURNING id`,
        [name, toIds(jobs)],
      );
      return done.length;
    },
    release: async (jobs) => {
      await write(
        `UPDATE ${table} SET state = 'created', started_on = NULL WHERE ${isMine} AND state = 'active'`,
        toMine(jobs),
      );
    },
    fail: (job, message, isFinal) =>
      database.transaction(
        async (transaction) => {
          const [mine] = await transaction.query<{ is_last: boolean }>(
            `UPDATE ${table} SET retry_limit = CASE WHEN $4::boolean THEN retry_count ELSE retry_limit END
             WHERE ${isMine} AND state < 'completed' RETURNING retry_count >= retry_limit AS is_last`,
            [...toMine([job]), isFinal],
          );
          if (mine === undefined) return false;
          const output = { message: message.slice(0, maxMessageCharacters) };
          await boss.fail(name, job.jobId, output, { db: toBossDatabase(transaction) });
          return mine.is_last;
        },
        { isRepeatable: true },
      ),
    counts: async () => {
      await expire();
      const rows = await database.read<{ state: string; count: number }>(
        `SELECT state::text AS state, count(*)::float8 AS count FROM ${table} WHERE name = $1 GROUP BY state`,
        [name],
      );
      const of = (...states: readonly string[]): number =>
        rows.reduce((sum, { state, count }) => sum + (states.includes(state) ? count : 0), 0);
      const counts: JobCounts = {
        waiting: of("created", "retry"),
        running: of("active"),
        done: of("completed"),
        failed: of("failed", "cancelled"),
      };
      return counts;
    },
    failures: async (limit) => {
      const rows = await database.read<{ data: JobRow["data"]; message: string | null }>(
        `SELECT data, COALESCE(output ->> 'message', output -> 'value' ->> 'message') AS message FROM ${table}
         WHERE name = $1 AND state = 'failed' ORDER BY created_on, id LIMIT $2::bigint`,
        [name, limit],
      );
      return rows.map(({ data, message }): FailedJob => ({ ...data, message: message ?? "it failed" }));
    },
    retryFailed: async () => {
      const again = await write(
        `UPDATE ${table} SET state = 'retry', retry_limit = retry_count + 1, start_after = now(), completed_on = NULL
         WHERE name = $1 AND state = 'failed' RETURNING id`,
        [name],
      );
      return again.length;
    },
    clear: async () => {
      await write(`DELETE FROM ${table} WHERE name = $1`, [name]);
    },
    close: async () => {
      await boss.stop({ graceful: false, close: false });
      await database.close();
    },
  };
}

/** Equal jobs have equal ids, so that a second one of a kind is not added. */
function toJobId({ location, options }: Required<NewJob>): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([location, options]))
    .digest("hex");
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join("-");
}

function toIds(jobs: readonly TakenJob[]): string[] {
  return jobs.map(({ jobId }) => jobId);
}

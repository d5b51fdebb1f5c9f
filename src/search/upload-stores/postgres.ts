import { randomUUID } from "node:crypto";
import { AbortedError, CorruptDataError } from "../../errors/probestream-error.js";
import { type DatabaseOptions, openDatabase } from "../../vectors/stores/postgres/database.js";
import { migrate } from "../../vectors/stores/postgres/migrate.js";
import { encodeUploadState, parseUploadState } from "../upload-state.js";
import { answerGraceMs, defaultExpiryMs, type UploadStore } from "../upload-store.js";

/** How often expired uploads are removed, in milliseconds. */
const sweepEveryMs = 10 * 60 * 1000;
/** Bytes of all uploads at most by default: some 8,000 at 128 × 128. */
const defaultMaxBytes = 1024 ** 3;
/** Connections at most by default: checkpoints are few and small. */
const defaultConnections = 4;

/** How a store of unfinished uploads on PostgreSQL is set up. */
export interface PostgresUploadStoreOptions extends DatabaseOptions {
  /** How long an unfinished upload is kept, in milliseconds. Default {@link defaultExpiryMs}. */
  readonly expiryMs?: number;
  /** Bytes of the uploads of all servers together, about: each counts for itself between two looks. Default 1 GiB. */
  readonly maxBytes?: number;
}

/**
 * Keeps unfinished uploads on PostgreSQL, so that an upload begun on one server goes on at another. Uploads expire by the
 * database's clock, which is one for all servers; those that expire first give way when the room is full.
 *
 * An upload belongs to the server that saved it last, until another claims it: what the former saves from then on is
 * refused (`UPLOAD_IN_USE`), so that a client that lost its connection and came back elsewhere is not set back by its own
 * ghost.
 *
 * @throws PreconditionError `STORE_MISSING`, UnavailableError `SOURCE_UNAVAILABLE`, AccessDeniedError `ACCESS_DENIED`.
 */
export async function openPostgresUploadStore(options: PostgresUploadStoreOptions): Promise<UploadStore> {
  const { expiryMs = defaultExpiryMs, maxBytes = defaultMaxBytes } = options;
  const database = openDatabase({ maxConnections: defaultConnections, ...options });
  try {
    await migrate(database);
  } catch (error) {
    await database.close();
    throw error;
  }
  const table = `${database.schema}.uploads`;
  const owner = randomUUID();
  // What happens twice is the same as once.
  const run = <R extends Record<string, unknown>>(sql: string, values: readonly (string | number | Buffer)[]) =>
    database.transaction(({ query }) => query<R>(sql, values), { isRepeatable: true });

  // Bytes at the last look, and those saved here since, replaced ones counted again.
  let bytes = 0;
  const sweep = async (): Promise<void> => {
    await run(`DELETE FROM ${table} WHERE expires_at <= now()`, []);
    await run(
      `DELETE FROM ${table} WHERE upload_id IN (
         SELECT upload_id FROM (
           SELECT upload_id, sum(bytes) OVER (ORDER BY expires_at DESC, upload_id DESC) AS room FROM ${table}
         ) AS newest WHERE room > $1::bigint)`,
      [maxBytes],
    );
    const [row] = await database.read<{ bytes: number }>(
      `SELECT COALESCE(sum(bytes), 0)::float8 AS bytes FROM ${table}`,
    );
    bytes = row?.bytes ?? 0;
  };
  const timer = setInterval(() => void sweep().catch(() => {}), sweepEveryMs);
  timer.unref();

  return {
    memoryBytes: 0,
    load: async (id) => {
      const [row] = await database.read<{ state: Buffer }>(
        `SELECT state FROM ${table} WHERE upload_id = $1 AND expires_at > now()`,
        [id],
      );
      if (row === undefined) return undefined;
      try {
        return await parseUploadState(row.state, id);
      } catch (error) {
        // A damaged one counts as none: the upload starts again at 0.
        if (!(error instanceof CorruptDataError)) throw error;
        await run(`DELETE FROM ${table} WHERE upload_id = $1`, [id]);
        return undefined;
      }
    },
    claim: async (id) => {
      await run(`UPDATE ${table} SET owner = $2::uuid WHERE upload_id = $1 AND owner <> $2::uuid`, [id, owner]);
    },
    save: async (id, state) => {
      const encoded = Buffer.from(encodeUploadState(state));
      const saved = await run(
        `INSERT INTO ${table} AS old (upload_id, owner, state, bytes, expires_at)
         VALUES ($1, $2::uuid, $3::bytea, $4::bigint, now() + $5::float8 * interval '1 ms')
         ON CONFLICT (upload_id) DO UPDATE SET owner = excluded.owner, state = excluded.state, bytes = excluded.bytes,
           expires_at = excluded.expires_at
         WHERE old.owner = excluded.owner OR old.expires_at <= now()
         RETURNING upload_id`,
        [id, owner, encoded, encoded.byteLength, expiryMs],
      );
      if (saved.length === 0) {
        const message = `another server took over the upload "${id}"; this one is given up`;
        throw new AbortedError("UPLOAD_IN_USE", message, { uploadId: id });
      }
      bytes += encoded.byteLength;
      if (bytes > maxBytes) await sweep();
    },
    remove: async (id) => {
      await run(`DELETE FROM ${table} WHERE upload_id = $1 AND owner = $2::uuid`, [id, owner]);
    },
    retire: async (id) => {
      await run(
        `UPDATE ${table} SET expires_at = LEAST(expires_at, now() + $3::float8 * interval '1 ms')
         WHERE upload_id = $1 AND owner = $2::uuid`,
        [id, owner, answerGraceMs],
      );
    },
    close: async () => {
      clearInterval(timer);
      await database.close();
    },
  };
}

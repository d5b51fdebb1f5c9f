import { assertQueries, assertRange } from "../../assert-queries.js";
import { assertPatch, assertRecords } from "../../assert-records.js";
import { assertSwitch } from "../../assert-space.js";
import { isStorableText } from "../../assert-text.js";
import { copyRecord } from "../../copy-record.js";
import { mergeKnown } from "../../merge-known.js";
import type { NewRecord } from "../../vector-record.js";
import type { KeepKnown, VectorStore } from "../../vector-store.js";
import { type DatabaseOptions, openDatabase, type Transaction } from "./database.js";
import { findExtensions } from "./find-extensions.js";
import { lockModels, readKnown } from "./known-models.js";
import { migrate } from "./migrate.js";
import { patchMetadata } from "./patch-metadata.js";
import {
  fromRow,
  isOneOf,
  plainColumns,
  type RecordRow,
  toKeys,
  toPrefix,
  toRecordColumns,
  writeRows,
} from "./record-rows.js";
import { searchSpace } from "./search-space.js";
import { createSpaceFields } from "./space-fields.js";
import { createSpaceIndexes, type IndexOptions } from "./space-indexes.js";
import type { SpaceTable } from "./space-table.js";
import { createSpaces, isTableMissing } from "./spaces.js";
import { SqlValues } from "./sql-values.js";
import { toFilterSql } from "./to-filter-sql.js";

/** How a store on PostgreSQL is set up. */
export interface PostgresStoreOptions extends DatabaseOptions, IndexOptions {}

/**
 * Opens a store on PostgreSQL 15 or later with pgvector, shared by any number of servers. Each space has a table of its
 * own, with an HNSW index where it is large ({@link IndexOptions.indexFromCount}) and at most 2,000 wide.
 *
 * An acknowledged write is as durable as the server makes a commit: `synchronous_commit` and `fsync` are left as they are.
 * Cosines are computed by pgvector in float32, and so are right to 1e-6, about. Where the connection
 * breaks, all is tried again but a write whose commit was under way: it may have happened or not, and says so.
 *
 * The schema is made and brought up to date at the opening. On Citus the tables of records are distributed by the beginning
 * of the id (never run there in this repository's tests).
 *
 * @throws PreconditionError `STORE_MISSING` if the server is too old, lacks pgvector, or has a newer schema;
 * InvalidInputError `FIELD_INVALID` for a connection string that cannot be used; UnavailableError `SOURCE_UNAVAILABLE`,
 * AccessDeniedError `ACCESS_DENIED`.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<VectorStore> {
  const database = openDatabase(options);
  try {
    await migrate(database);
    const extensions = await findExtensions(database);
    return createStore(database, extensions, options);
  } catch (error) {
    await database.close();
    throw error;
  }
}

function createStore(
  database: ReturnType<typeof openDatabase>,
  extensions: Awaited<ReturnType<typeof findExtensions>>,
  options: IndexOptions,
): VectorStore {
  const spaces = createSpaces(database, extensions);
  const fields = createSpaceFields(database);
  const indexes = createSpaceIndexes(database, extensions, options);
  const columns = toRecordColumns(extensions);

  /** Records with what is known of their models, which nobody changes before the transaction's end. */
  const withKnown = async (
    transaction: Transaction,
    space: SpaceTable,
    records: readonly NewRecord[],
    keepKnown: KeepKnown,
  ): Promise<readonly NewRecord[]> => {
    const ids = records.map(({ id }) => id);
    await lockModels(transaction, database, ids, "shared");
    const known = await readKnown(transaction, space, await spaces.readAll(transaction), ids, extensions);
    return mergeKnown(records, known, keepKnown, Date.now());
  };

  return {
    description: `postgres at ${database.place}`,
    ensureSpace: (spec, { fill = false } = {}) => spaces.ensure(spec, fill),
    listSpaces: spaces.list,
    countSpaces: spaces.count,
    switchSpaces: async (change) => {
      assertSwitch(change);
      // Whoever asks for a space that was filled finds it indexed.
      for (const spaceId of change.serve) await spaces.with(spaceId, indexes.make);
      await spaces.switch(change);
    },
    dropSpace: (spaceId) => spaces.drop(spaceId),
    upsert: async (spaceId, records, { keepKnown } = {}) => {
      // Copies: their caller may do with its own as it likes meanwhile.
      const given = records.map(copyRecord);
      await spaces.with(spaceId, async (space) => {
        assertRecords(given, space.width);
        if (given.length === 0) return;
        await database.transaction(async (transaction) => {
          const written = keepKnown === undefined ? given : await withKnown(transaction, space, given, keepKnown);
          await writeRows(transaction, written, space, extensions, keepKnown !== undefined);
        });
        fields.forget(space);
        indexes.onWritten(space, given.length);
      });
    },
    updateMetadata: async (id, patch) => {
      assertPatch(id, patch);
      const changed = await spaces.withAll(
        (all, transaction) => patchMetadata(transaction, all, id, patch),
        (transaction) => lockModels(transaction, database, [id], "exclusive"),
      );
      for (const space of changed) fields.forget(space);
      return changed.length > 0;
    },
    delete: async (ids, spaceId) => {
      const wanted = ids.filter(isStorableText);
      const deleteFrom = async (from: readonly SpaceTable[], { query }: Transaction) => {
        const gone = new Set<string>();
        for (const { table } of from) {
          const sql = `DELETE FROM ${table} WHERE ${isOneOf} RETURNING id`;
          for (const { id } of await query<{ id: string }>(sql, toKeys(wanted))) gone.add(id);
        }
        return { from, count: gone.size };
      };
      const { from, count } =
        spaceId === undefined
          ? await spaces.withAll(deleteFrom)
          : await spaces.with(spaceId, (space) => database.transaction((own) => deleteFrom([space], own)));
      for (const space of from) fields.forget(space);
      return count;
    },
    get: (spaceId, ids, { vectors = true } = {}) =>
      spaces.with(spaceId, async ({ table }) => {
        const wanted = ids.filter(isStorableText);
        const sql = `SELECT ${vectors ? columns : plainColumns} FROM ${table} WHERE ${isOneOf}`;
        const rows = await database.read<RecordRow>(sql, toKeys(wanted));
        const found = new Map(rows.map((row) => [row.id, row]));
        return ids.map((id) => {
          const row = found.get(id);
          return row && fromRow(row);
        });
      }),
    list: (spaceId, range) =>
      spaces.with(spaceId, async (space) => {
        const { after, limit, filter } = range;
        assertRange(range, await fields.of(space, filter));
        const values = new SqlValues();
        const conditions = [
          ...(after === undefined ? [] : [`id_prefix >= ${values.add(toPrefix(after))}`, `id > ${values.add(after)}`]),
          ...(filter === undefined ? [] : [toFilterSql(filter, values)]),
        ];
        const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
        const rows = await database.read<RecordRow>(
          `SELECT ${columns} FROM ${space.table} ${where} ORDER BY id_prefix, id LIMIT ${values.add(limit)}::bigint`,
          values.all,
        );
        return rows.map(fromRow);
      }),
    findByWeights: (spaceId, weightsHashes) =>
      spaces.with(spaceId, async ({ table }) => {
        const rows = await database.read<{ weights_hash: string; id: string }>(
          `SELECT weights_hash, min(id) AS id FROM ${table}
           WHERE weights_hash <> '' AND weights_hash = ANY($1::text[]) GROUP BY weights_hash`,
          [weightsHashes],
        );
        const found = new Map(rows.map(({ weights_hash: hash, id }) => [hash, id]));
        return new Map(
          weightsHashes.flatMap((hash) => {
            const id = found.get(hash);
            return id === undefined ? [] : [[hash, id]];
          }),
        );
      }),
    search: async (spaceId, given) => {
      // A copy: its caller may do with it as it likes meanwhile.
      const queries = { ...given, vectors: given.vectors.slice() };
      return spaces.with(spaceId, async (space) => {
        const count = assertQueries(queries, space.width, await fields.of(space, queries.filter));
        if (count === 0) return [];
        const isIndexed = queries.exact !== true && (await indexes.isThere(space));
        return searchSpace({ ...queries, count }, space, isIndexed, database, extensions);
      });
    },
    fields: (spaceId) => spaces.with(spaceId, fields.all),
    hasFields: (spaceId, names) => spaces.with(spaceId, (space) => fields.having(space, names)),
    compact: async () => {
      for (const space of await spaces.withAll(async (all) => all)) {
        try {
          await indexes.make(space);
          await database.session(({ query }) => query(`VACUUM (ANALYZE) ${space.table}`));
        } catch (error) {
          // Dropped meanwhile: it holds nothing any more.
          if (!isTableMissing(error)) throw error;
        }
      }
    },
    close: async () => {
      await indexes.close();
      await database.close();
    },
  };
}

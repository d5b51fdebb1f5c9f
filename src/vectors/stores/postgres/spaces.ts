import { InternalError, ProbestreamError } from "../../../errors/probestream-error.js";
import { assertSameWidth, assertSpace, toSpaceMissing } from "../../assert-space.js";
import { compareSpaces } from "../../compare-spaces.js";
import type { SpaceInfo, SpaceSpec, SpaceState } from "../../vector-store.js";
import type { Database, Row, Transaction } from "./database.js";
import type { Extensions } from "./find-extensions.js";
import { lockSchema } from "./migrate.js";
import { createSpaceTable, type SpaceTable, toTableName } from "./space-table.js";

interface SpaceRow extends Row {
  readonly number: number;
  readonly space_id: string;
  readonly width: number;
  readonly expert_name: string;
  readonly state: SpaceState;
}

/** The spaces of a store: which there are, and their tables. */
export interface Spaces {
  ensure(spec: SpaceSpec, isFilling: boolean): Promise<SpaceInfo>;
  list(): Promise<readonly SpaceInfo[]>;
  switch(change: { readonly serve: readonly string[]; readonly retire: readonly string[] }): Promise<void>;
  drop(spaceId: string): Promise<void>;
  /**
   * Runs work on the table of a space. What is known of the space is kept; where another server has dropped its table
   * meanwhile, or made it anew, the work is run again on what there is now.
   */
  with<T>(spaceId: string, work: (space: SpaceTable) => Promise<T>): Promise<T>;
  /**
   * Runs work on all spaces in one transaction, in the order of their making; once more if one was dropped meanwhile.
   */
  withAll<T>(work: (spaces: readonly SpaceTable[], transaction: Transaction) => Promise<T>): Promise<T>;
}

const columns = "number, space_id, width, expert_name, state";

/** Whether an error says that a table is not there. */
export function isTableMissing(error: unknown): boolean {
  return error instanceof ProbestreamError && error.facts["code"] === "42P01";
}

/** Creates {@link Spaces} of a database whose schema is up to date. */
export function createSpaces(database: Database, extensions: Extensions): Spaces {
  const { schema } = database;
  const known = new Map<string, SpaceTable>();

  const find = async (spaceId: string): Promise<SpaceTable> => {
    const cached = known.get(spaceId);
    if (cached !== undefined) return cached;
    const [row] = await database.read<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces WHERE space_id = $1`, [
      spaceId,
    ]);
    if (row === undefined) throw toSpaceMissing(spaceId);
    const space = toSpaceTable(row, schema);
    known.set(spaceId, space);
    return space;
  };

  const readRow = async ({ query }: Transaction, spaceId: string): Promise<SpaceRow | undefined> => {
    const [row] = await query<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces WHERE space_id = $1 FOR UPDATE`, [
      spaceId,
    ]);
    return row;
  };

  const toInfo = async (rows: readonly SpaceRow[]): Promise<SpaceInfo[]> => {
    if (rows.length === 0) return [];
    const counts = await database.read<{ number: number; count: number }>(
      rows
        .map(
          ({ number }) => `SELECT ${number} AS number, count(*)::float8 AS count FROM ${toTableName(number, schema)}`,
        )
        .join(" UNION ALL "),
    );
    const byNumber = new Map(counts.map(({ number, count }) => [number, count]));
    return rows.map(({ number, space_id: spaceId, width, expert_name: expertName, state }) => {
      const count = byNumber.get(number) ?? 0;
      // An index holds every row from its making on; until then search is exact.
      return { spaceId, width, expertName, state, count, indexed: count };
    });
  };

  return {
    ensure: async (spec, isFilling) => {
      assertSpace(spec);
      const row = await database.transaction(
        async (transaction) => {
          const found = await readRow(transaction, spec.spaceId);
          if (found !== undefined) return found;
          await lockSchema(transaction, database);
          const [made] = await transaction.query<SpaceRow>(
            `INSERT INTO ${schema}.spaces (space_id, width, expert_name, state) VALUES ($1, $2, $3, $4)
             ON CONFLICT (space_id) DO NOTHING RETURNING ${columns}`,
            [spec.spaceId, spec.width, spec.expertName, isFilling ? "filling" : "serving"],
          );
          const row = made ?? (await readRow(transaction, spec.spaceId));
          if (row === undefined) throw new InternalError("INTERNAL", `the space ${spec.spaceId} was not made`);
          if (made !== undefined) {
            await createSpaceTable(transaction, toSpaceTable(made, schema), database, extensions);
          }
          return row;
        },
        // The same again gives the same.
        { isRepeatable: true },
      );
      known.set(spec.spaceId, toSpaceTable(row, schema));
      const [info] = await toInfo([row]);
      if (info === undefined) throw toSpaceMissing(spec.spaceId);
      assertSameWidth(info, spec);
      return info;
    },
    list: async () => {
      const read = async (): Promise<SpaceInfo[]> => {
        const rows = await database.read<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces`);
        return (await toInfo(rows)).sort(compareSpaces);
      };
      // A space may be dropped between the two reads.
      return read().catch((error: unknown) => {
        if (isTableMissing(error)) return read();
        throw error;
      });
    },
    switch: ({ serve, retire }) =>
      database.transaction(
        async (transaction) => {
          await lockSchema(transaction, database);
          for (const spaceId of [...serve, ...retire]) {
            if ((await readRow(transaction, spaceId)) === undefined) throw toSpaceMissing(spaceId);
          }
          const update = `UPDATE ${schema}.spaces SET state = $1 WHERE space_id = ANY($2::text[])`;
          await transaction.query(update, ["serving", serve]);
          await transaction.query(update, ["retired", retire]);
        },
        { isRepeatable: true },
      ),
    drop: async (spaceId) => {
      known.delete(spaceId);
      await database.transaction(async (transaction) => {
        await lockSchema(transaction, database);
        const row = await readRow(transaction, spaceId);
        if (row === undefined) throw toSpaceMissing(spaceId);
        await transaction.query(`DELETE FROM ${schema}.spaces WHERE number = $1`, [row.number]);
        await transaction.query(`DROP TABLE ${toTableName(row.number, schema)}`);
      });
    },
    with: async (spaceId, work) => {
      try {
        return await work(await find(spaceId));
      } catch (error) {
        if (!isTableMissing(error)) throw error;
        known.delete(spaceId);
        return work(await find(spaceId));
      }
    },
    withAll: async (work) => {
      const run = () =>
        database.transaction(async (transaction) => {
          const rows = await transaction.query<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces ORDER BY number`);
          return work(
            rows.map((row) => toSpaceTable(row, schema)),
            transaction,
          );
        });
      try {
        return await run();
      } catch (error) {
        if (!isTableMissing(error)) throw error;
        return run();
      }
    },
  };
}

function toSpaceTable(
  { number, space_id: spaceId, width, expert_name: expertName }: SpaceRow,
  schema: string,
): SpaceTable {
  return { number, spaceId, width, expertName, table: toTableName(number, schema) };
}

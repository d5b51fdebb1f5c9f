import { InternalError, ProbestreamError } from "../../../errors/probestream-error.js";
import { assertSameWidth, assertSpace, toSpaceMissing } from "../../assert-space.js";
import { compareSpaces } from "../../compare-spaces.js";
import type { CountedSpace, SpaceInfo, SpaceSpec, SpaceState, SpaceStatus } from "../../vector-store.js";
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
  ensure(spec: SpaceSpec, isFilling: boolean): Promise<SpaceStatus>;
  /** Looks for one row of each. */
  list(): Promise<readonly SpaceInfo[]>;
  /** Looks at all rows of each. */
  count(): Promise<readonly CountedSpace[]>;
  switch(change: { readonly serve: readonly string[]; readonly retire: readonly string[] }): Promise<void>;
  drop(spaceId: string): Promise<void>;
  /**
   * Runs work on the table of a space. What is known of the space is kept; where another server has dropped its table
   * meanwhile, or made it anew, the work is run again on what there is now.
   */
  with<T>(spaceId: string, work: (space: SpaceTable) => Promise<T>): Promise<T>;
  /** All spaces, in the order of their making. */
  readAll(transaction: Transaction): Promise<readonly SpaceTable[]>;
  /**
   * Runs work on all spaces in one transaction, in the order of their making; once more if one was dropped meanwhile.
   *
   * @param first what is done before it is known which spaces there are.
   */
  withAll<T>(
    work: (spaces: readonly SpaceTable[], transaction: Transaction) => Promise<T>,
    first?: (transaction: Transaction) => Promise<void>,
  ): Promise<T>;
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

  /** Without a lock: servers that look at a space at once do not wait for each other. */
  const look = async (spaceId: string): Promise<SpaceRow | undefined> => {
    const [row] = await database.read<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces WHERE space_id = $1`, [
      spaceId,
    ]);
    return row;
  };

  const find = async (spaceId: string): Promise<SpaceTable> => {
    const cached = known.get(spaceId);
    if (cached !== undefined) return cached;
    const row = await look(spaceId);
    if (row === undefined) throw toSpaceMissing(spaceId);
    const space = toSpaceTable(row, schema);
    known.set(spaceId, space);
    return space;
  };

  const readAll = async ({ query }: Transaction): Promise<readonly SpaceTable[]> => {
    const rows = await query<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces ORDER BY number`);
    return rows.map((row) => toSpaceTable(row, schema));
  };

  const readRow = async ({ query }: Transaction, spaceId: string): Promise<SpaceRow | undefined> => {
    const [row] = await query<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces WHERE space_id = $1 FOR UPDATE`, [
      spaceId,
    ]);
    return row;
  };

  const make = (spec: SpaceSpec, isFilling: boolean): Promise<SpaceRow> =>
    database.transaction(
      async (transaction) => {
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

  /** All spaces, each with a value computed from its table. */
  const listWith = async <T, S extends SpaceStatus>(
    toSql: (table: string) => string,
    toSpace: (status: SpaceStatus, value: T) => S,
  ): Promise<readonly S[]> => {
    const read = async (): Promise<readonly S[]> => {
      const rows = await database.read<SpaceRow>(`SELECT ${columns} FROM ${schema}.spaces`);
      if (rows.length === 0) return [];
      const values = await database.read<{ number: number; value: T }>(
        rows
          .map(({ number }) => `SELECT ${number} AS number, ${toSql(toTableName(number, schema))} AS value`)
          .join(" UNION ALL "),
      );
      const byNumber = new Map(values.map(({ number, value }) => [number, value]));
      return rows
        .flatMap((row) => {
          const value = byNumber.get(row.number);
          return value === undefined ? [] : [toSpace(toStatus(row), value)];
        })
        .sort(compareSpaces);
    };
    // A space may be dropped between the two reads.
    return read().catch((error: unknown) => {
      if (isTableMissing(error)) return read();
      throw error;
    });
  };

  return {
    ensure: async (spec, isFilling) => {
      assertSpace(spec);
      const row = (await look(spec.spaceId)) ?? (await make(spec, isFilling));
      known.set(spec.spaceId, toSpaceTable(row, schema));
      const status = toStatus(row);
      assertSameWidth(status, spec);
      return status;
    },
    list: () =>
      listWith(
        (table) => `NOT EXISTS (SELECT 1 FROM ${table})`,
        (status, isEmpty: boolean): SpaceInfo => ({ ...status, isEmpty }),
      ),
    count: () =>
      listWith(
        (table) => `(SELECT count(*)::float8 FROM ${table})`,
        // An index holds every row from its making on; until then search is exact.
        (status, count: number): CountedSpace => ({ ...status, count, indexed: count }),
      ),
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
    readAll,
    withAll: async (work, first = async () => {}) => {
      const run = () =>
        database.transaction(async (transaction) => {
          await first(transaction);
          return work(await readAll(transaction), transaction);
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

function toStatus({ space_id: spaceId, width, expert_name: expertName, state }: SpaceRow): SpaceStatus {
  return { spaceId, width, expertName, state };
}

function toSpaceTable(
  { number, space_id: spaceId, width, expert_name: expertName }: SpaceRow,
  schema: string,
): SpaceTable {
  return { number, spaceId, width, expertName, table: toTableName(number, schema) };
}

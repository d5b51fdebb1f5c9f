import type { SpaceSpec } from "../../vector-store.js";
import type { Database, Transaction } from "./database.js";
import type { Extensions } from "./find-extensions.js";

/** Numbers per vector that pgvector can index. Wider spaces are always searched row by row. */
export const maxIndexedWidth = 2000;

/** Characters of an id that stand in its key; at up to 4 bytes each they fit an index entry, with a hash beside them. */
export const keyCharacters = 600;

/** A space as the tables have it. */
export interface SpaceTable extends SpaceSpec {
  readonly number: number;
  /** Its table of records, quoted and with its schema. */
  readonly table: string;
}

/** The table of a space, by its number. */
export function toTableName(number: number, schema: string): string {
  return `${schema}.records_${number}`;
}

/** The index of a space's representations, quoted and with its schema. */
export function toIndexName(number: number, schema: string): string {
  return `${schema}.records_${number}_nearest`;
}

/**
 * Makes the table of a space. An id may be longer than an entry of an index, so the key is its beginning (`id_prefix`,
 * {@link keyCharacters} characters) with a hash of the whole where that is longer (`id_hash`). On Citus the table is
 * distributed by `id_prefix`.
 *
 * Rows stay whole up to a page: representations moved out of them (TOAST, by default from 2 KB on) made a scan of 100,000
 * × 512 take 860 ms instead of 113.
 */
export async function createSpaceTable(
  { query }: Transaction,
  { table, number, width }: SpaceTable,
  { schema }: Database,
  { vectorSchema, isCitus }: Extensions,
): Promise<void> {
  await query(
    `CREATE TABLE ${table} (
       id_prefix text COLLATE "C" NOT NULL,
       id_hash bytea NOT NULL,
       id text COLLATE "C" NOT NULL,
       embedding ${vectorSchema}.vector(${width}) NOT NULL,
       original bytea,
       weights_hash text COLLATE "C" NOT NULL,
       file_hash text COLLATE "C" NOT NULL,
       tree text COLLATE "C" NOT NULL,
       base text COLLATE "C" NOT NULL,
       metadata jsonb NOT NULL,
       claims jsonb NOT NULL,
       created_ms bigint NOT NULL,
       updated_ms bigint NOT NULL,
       PRIMARY KEY (id_prefix, id_hash)
     ) WITH (toast_tuple_target = 8160)`,
  );
  await query(`CREATE INDEX records_${number}_weights ON ${table} (weights_hash) WHERE weights_hash <> ''`);
  // By hashes of name and value together: apart, as is the default, all rows with the name and all with the value in any
  // field are looked at. A search of 1 % of
  // 100,000 took 64 ms then, and 7 so.
  await query(
    `CREATE INDEX records_${number}_fields ON ${table} USING gin (metadata jsonb_path_ops, claims jsonb_path_ops)`,
  );
  if (isCitus)
    await query("SELECT create_distributed_table($1::regclass, 'id_prefix')", [`${schema}.records_${number}`]);
}

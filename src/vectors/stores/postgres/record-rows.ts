import { createHash } from "node:crypto";
import type { Scalar } from "../../filter.js";
import type { NewRecord, VectorRecord } from "../../vector-record.js";
import type { Row, SqlValue, Transaction } from "./database.js";
import type { Extensions } from "./find-extensions.js";
import { keyCharacters, type SpaceTable } from "./space-table.js";
import { fromVectorBytes, toComparable, toVectorArrayBytes, toVectorBytes } from "./vector-bytes.js";

/** Bytes of representations in one statement, about, and rows. */
const [maxStatementBytes, maxStatementRows] = [8 * 1024 ** 2, 1000];

/** A row of a space's table, as {@link toRecordColumns} selects it. */
export interface RecordRow extends Row {
  readonly id: string;
  readonly vector: Buffer;
  readonly original: Buffer | null;
  readonly weights_hash: string;
  readonly file_hash: string;
  readonly tree: string;
  readonly base: string;
  readonly metadata: Readonly<Record<string, Scalar>>;
  readonly claims: Readonly<Record<string, string>>;
  readonly created_ms: number;
  readonly updated_ms: number;
}

/** Columns of {@link RecordRow}. */
export function toRecordColumns({ vectorSchema }: Extensions): string {
  return `id, ${vectorSchema}.vector_send(embedding) AS vector, original, weights_hash, file_hash, tree, base, metadata, claims,
    created_ms::float8 AS created_ms, updated_ms::float8 AS updated_ms`;
}

/** The same without representations: they are empty. */
export const plainColumns = `id, '\\x00000000'::bytea AS vector, NULL::bytea AS original, weights_hash, file_hash, tree, base, metadata,
    claims, created_ms::float8 AS created_ms, updated_ms::float8 AS updated_ms`;

/** A row as a record. */
export function fromRow(row: RecordRow): VectorRecord {
  return {
    id: row.id,
    vector: fromVectorBytes(row.original ?? row.vector),
    weightsHash: row.weights_hash,
    fileHash: row.file_hash,
    tree: row.tree,
    base: row.base,
    metadata: row.metadata,
    claims: row.claims,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
  };
}

/** The beginning of an id: the part of its key that says where it is. */
export function toPrefix(id: string): string {
  return id.length <= keyCharacters ? id : [...id].slice(0, keyCharacters).join("");
}

/** Condition on rows of some ids, whose keys {@link toKeys} gives as the first two values of the statement. */
export const isOneOf = "id_prefix = ANY($1::text[]) AND id = ANY($2::text[])";

/** Values of {@link isOneOf}. */
export function toKeys(ids: readonly string[]): readonly [prefixes: readonly string[], ids: readonly string[]] {
  return [ids.map(toPrefix), ids];
}

/** The other part of the key: empty where the beginning is the whole. */
function toIdHash(id: string): Buffer {
  return toPrefix(id) === id ? Buffer.alloc(0) : createHash("sha256").update(id).digest();
}

/**
 * Writes records, of those with one id the last, in the order of their ids, so that two servers never wait for each other's
 * rows.
 *
 * @param keepsMetadata whether fields of a row that came to be there meanwhile stay, where the record has none of that name.
 */
export async function writeRows(
  transaction: Transaction,
  records: readonly NewRecord[],
  space: SpaceTable,
  extensions: Extensions,
  keepsMetadata: boolean,
): Promise<void> {
  const last = new Map(records.map((record) => [record.id, record]));
  const sorted = [...last.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const most = Math.max(1, Math.min(maxStatementRows, Math.floor(maxStatementBytes / (4 * space.width))));
  for (let start = 0; start < sorted.length; start += most) {
    const part = sorted.slice(start, start + most);
    for (const isDated of [false, true]) {
      const rows = part.filter(({ createdMs }) => (createdMs !== undefined) === isDated);
      if (rows.length > 0)
        await transaction.query(toInsert(space, extensions, isDated, keepsMetadata), toValues(rows, extensions));
    }
  }
}

/** @param isDated whether the time of first writing is given; else a row that is there keeps its own. */
function toInsert(
  { table }: SpaceTable,
  { vectorSchema }: Extensions,
  isDated: boolean,
  keepsMetadata: boolean,
): string {
  const changed = ["embedding", "original", "weights_hash", "file_hash", "tree", "base", "metadata", "claims"];
  const replaced = [...changed, "updated_ms", ...(isDated ? ["created_ms"] : [])];
  const toReplacement = (column: string): string =>
    keepsMetadata && column === "metadata" ? "there.metadata || excluded.metadata" : `excluded.${column}`;
  return `INSERT INTO ${table} AS there (id_prefix, id_hash, id, ${changed.join(", ")}, created_ms, updated_ms)
    SELECT r.id_prefix, r.id_hash, r.id, r.embedding, r.original, r.weights_hash, r.file_hash, r.tree, r.base,
           r.metadata::jsonb, r.claims::jsonb, COALESCE(r.created_ms, ${nowMs}), COALESCE(r.updated_ms, ${nowMs})
    FROM unnest($1::text[], $2::bytea[], $3::text[], $4::${vectorSchema}.vector[], $5::bytea[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[])
      AS r (id_prefix, id_hash, id, embedding, original, weights_hash, file_hash, tree, base, metadata, claims,
            created_ms, updated_ms)
    ON CONFLICT (id_prefix, id_hash) DO UPDATE SET ${replaced.map((column) => `${column} = ${toReplacement(column)}`).join(", ")}`;
}

/** The server's time at the beginning of the transaction, in milliseconds since 1970. */
export const nowMs = "floor(extract(epoch FROM now()) * 1000)::bigint";

function toValues(rows: readonly NewRecord[], { vectorTypeId }: Extensions): SqlValue[] {
  const column = <T>(pick: (record: NewRecord) => T): T[] => rows.map(pick);
  const comparable = column(({ vector }) => toComparable(vector));
  return [
    column(({ id }) => toPrefix(id)),
    column(({ id }) => toIdHash(id)),
    column(({ id }) => id),
    toVectorArrayBytes(comparable, vectorTypeId),
    column(({ vector }) => vector).map((vector, i) => (vector === comparable[i] ? null : toVectorBytes(vector))),
    column(({ weightsHash }) => weightsHash),
    column(({ fileHash }) => fileHash),
    column(({ tree }) => tree),
    column(({ base }) => base),
    column(({ metadata }) => JSON.stringify(metadata)),
    column(({ claims }) => JSON.stringify(claims)),
    column(({ createdMs = null }) => createdMs),
    column(({ updatedMs = null }) => updatedMs),
  ];
}

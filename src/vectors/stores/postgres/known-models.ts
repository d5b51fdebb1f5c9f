import { createHash } from "node:crypto";
import { toOwnFirst } from "../../compare-spaces.js";
import type { KnownFacts } from "../../merge-known.js";
import type { Database, Row, Transaction } from "./database.js";
import type { Extensions } from "./find-extensions.js";
import { isOneOf, type RecordRow, toKeys } from "./record-rows.js";
import type { SpaceTable } from "./space-table.js";

/** Locks that models share: few, for a transaction may write hundreds of models, and the server has some thousand locks. */
const lockCount = 64;

/**
 * Lets no change of these models' metadata come between what a transaction reads and what it writes, to its end. `shared`
 * for who keeps what is known, `exclusive` for who changes it.
 */
export async function lockModels(
  { query }: Transaction,
  { schema }: Database,
  ids: readonly string[],
  kind: "shared" | "exclusive",
): Promise<void> {
  // In one order everywhere, so that two never wait for each other.
  const locks = [...new Set(ids.map(toLock))].sort((a, b) => a - b);
  const take = kind === "shared" ? "pg_advisory_xact_lock_shared" : "pg_advisory_xact_lock";
  await query(
    `SELECT ${take}(hashtextextended('probestream ' || $1::text || ' models ' || lock::text, 0))
     FROM unnest($2::integer[]) AS lock`,
    [schema, locks],
  );
}

function toLock(id: string): number {
  return createHash("sha256").update(id).digest().readUInt8() % lockCount;
}

type KnownRow = Row & Pick<RecordRow, "id" | "base" | "metadata" | "claims" | "created_ms">;

/**
 * What is known of models: by the space that they go to, whose rows stay as they are to the transaction's end, else by the
 * first other one that has them.
 *
 * @param all spaces.
 */
export async function readKnown(
  { query }: Transaction,
  own: SpaceTable,
  all: readonly SpaceTable[],
  ids: readonly string[],
  { isCitus }: Extensions,
): Promise<Map<string, KnownFacts>> {
  const known = new Map<string, KnownFacts>();
  // Citus locks rows of one shard only. Elsewhere all lock them in one order, in which they are written too.
  const lock = isCitus ? "" : "ORDER BY id FOR UPDATE";
  for (const { number, table } of toOwnFirst(own, all)) {
    const missing = ids.filter((id) => !known.has(id));
    if (missing.length === 0) break;
    const rows = await query<KnownRow>(
      `SELECT id, base, metadata, claims, created_ms::float8 AS created_ms FROM ${table}
       WHERE ${isOneOf} ${number === own.number ? lock : ""}`,
      toKeys(missing),
    );
    for (const { id, base, metadata, claims, created_ms: createdMs } of rows) {
      known.set(id, { base, metadata, claims, createdMs });
    }
  }
  return known;
}

import { applyPatch } from "../../apply-patch.js";
import type { Scalar } from "../../filter.js";
import type { MetadataPatch } from "../../vector-store.js";
import type { Transaction } from "./database.js";
import { isOneOf, nowMs, toKeys } from "./record-rows.js";
import type { SpaceTable } from "./space-table.js";

/**
 * Changes a model's metadata in all spaces that have it, and gives these.
 *
 * @throws LimitExceededError `LIMIT_EXCEEDED` if it is more than is kept.
 */
export async function patchMetadata(
  { query }: Transaction,
  spaces: readonly SpaceTable[],
  id: string,
  patch: MetadataPatch,
): Promise<readonly SpaceTable[]> {
  const there: SpaceTable[] = [];
  for (const space of spaces) {
    const [row] = await query<{ metadata: Readonly<Record<string, Scalar>> }>(
      `SELECT metadata FROM ${space.table} WHERE ${isOneOf} FOR UPDATE`,
      toKeys([id]),
    );
    if (row === undefined) continue;
    const metadata = JSON.stringify(applyPatch({ id, metadata: row.metadata }, patch));
    await query(`UPDATE ${space.table} SET metadata = $3::jsonb, updated_ms = ${nowMs} WHERE ${isOneOf}`, [
      ...toKeys([id]),
      metadata,
    ]);
    there.push(space);
  }
  return there;
}

import { assertFields, maxMetadataBytes } from "./assert-records.js";
import { quoteText } from "./assert-text.js";
import type { VectorRecord } from "./vector-record.js";
import type { MetadataPatch } from "./vector-store.js";

/**
 * Metadata of a model after a change.
 *
 * @throws LimitExceededError `LIMIT_EXCEEDED` if it is more than is kept.
 */
export function applyPatch(
  { id, metadata }: Pick<VectorRecord, "id" | "metadata">,
  patch: MetadataPatch,
): VectorRecord["metadata"] {
  const changed = { ...metadata, ...patch };
  const kept = Object.entries(changed).filter(
    (entry): entry is [string, string | number | boolean] => entry[1] !== null,
  );
  const patched = Object.fromEntries(kept);
  assertFields(patched, `the metadata of ${quoteText(id)}`, maxMetadataBytes);
  return patched;
}

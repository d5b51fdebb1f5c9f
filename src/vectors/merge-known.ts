import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import { assertFields, maxMetadataBytes } from "./assert-records.js";
import { quoteText } from "./assert-text.js";
import { toClaimedBase } from "./claimed-base.js";
import type { NewRecord, VectorRecord } from "./vector-record.js";
import type { KeepKnown } from "./vector-store.js";

/** What stays of a model that is embedded again. */
export type KnownFacts = Pick<VectorRecord, "metadata" | "claims" | "base" | "createdMs">;

/**
 * Records with what is known of their models: metadata that the record does not name, the base by the user's word where the
 * record has none by it, and when the model was first written. Of an id that stands twice, what the first says is known when
 * the second is written.
 *
 * @param known by id.
 * @param nowMs the time, in milliseconds since 1970.
 * @throws InvalidInputError `LIMIT_EXCEEDED` if both sides' metadata of a model is more than is allowed.
 */
export function mergeKnown(
  records: readonly NewRecord[],
  known: ReadonlyMap<string, KnownFacts>,
  limits: KeepKnown,
  nowMs: number,
): NewRecord[] {
  const facts = new Map(known);
  return records.map((record) => {
    const merged = mergeOne(record, facts.get(record.id), limits);
    facts.set(record.id, { ...merged, createdMs: merged.createdMs ?? nowMs });
    return merged;
  });
}

function mergeOne(record: NewRecord, known: KnownFacts | undefined, limits: KeepKnown): NewRecord {
  if (known === undefined) return record;
  const metadata = { ...known.metadata, ...record.metadata };
  const most = Math.min(limits.maxMetadataBytes, maxMetadataBytes);
  try {
    assertFields(metadata, `the metadata of ${quoteText(record.id)}, with what the catalogue has,`, most);
  } catch (thrown) {
    if (!(thrown instanceof ProbestreamError)) throw thrown;
    // Of this record alone: others that are written with it are sound.
    throw new InvalidInputError(thrown.reason, thrown.message, thrown.facts, { cause: thrown });
  }
  const isClaimed = record.base === toClaimedBase(record.claims);
  const base = isClaimed && known.base !== toClaimedBase(known.claims) ? known.base : record.base;
  return { ...record, metadata, base, createdMs: known.createdMs };
}

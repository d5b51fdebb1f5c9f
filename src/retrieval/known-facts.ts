import { InvalidInputError, ProbestreamError } from "../errors/probestream-error.js";
import { assertFields } from "../vectors/assert-records.js";
import { quoteText } from "../vectors/assert-text.js";
import type { NewRecord, VectorRecord } from "../vectors/vector-record.js";
import type { VectorStore } from "../vectors/vector-store.js";
import { toClaimedBase } from "./model-base.js";
import { visitStoredModels } from "./stored-models.js";

/** What stays of a model that is embedded again. */
export type KnownFacts = Pick<VectorRecord, "metadata" | "claims" | "base" | "createdMs">;

/** What a store knows of models: from the space that they go to, or else from the first other one that has them. */
export async function readKnownModels(
  store: VectorStore,
  spaceId: string,
  ids: ReadonlySet<string>,
): Promise<Map<string, KnownFacts>> {
  const known = new Map<string, KnownFacts>();
  const others = (await store.listSpaces()).filter((space) => space.spaceId !== spaceId && !space.isEmpty);
  for (const own of [spaceId, ...others.map((space) => space.spaceId)]) {
    const missing = new Set([...ids].filter((id) => !known.has(id)));
    if (missing.size === 0) break;
    const wanted = new Map([[own, missing]]);
    await visitStoredModels(store, wanted, (_, record) => known.set(record.id, record), undefined);
  }
  return known;
}

/**
 * A record with what is known of its model: metadata that the record does not name, the base by the user's word where the
 * record has none by it, and when the model was first written.
 *
 * @throws InvalidInputError `LIMIT_EXCEEDED` if both sides' metadata is more than is allowed.
 */
export function mergeKnown(record: NewRecord, known: KnownFacts | undefined, maxMetadataBytes: number): NewRecord {
  if (known === undefined) return record;
  const metadata = { ...known.metadata, ...record.metadata };
  try {
    assertFields(metadata, `the metadata of ${quoteText(record.id)}, with what the catalogue has,`, maxMetadataBytes);
  } catch (thrown) {
    if (!(thrown instanceof ProbestreamError)) throw thrown;
    // Of this record alone: others that are written with it are sound.
    throw new InvalidInputError(thrown.reason, thrown.message, thrown.facts, { cause: thrown });
  }
  const isClaimed = record.base === toClaimedBase(record.claims);
  const base = isClaimed && known.base !== toClaimedBase(known.claims) ? known.base : record.base;
  return { ...record, metadata, base, createdMs: known.createdMs };
}

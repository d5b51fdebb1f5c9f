import { InvalidInputError } from "../errors/probestream-error.js";
import { assertFields, assertId } from "../vectors/assert-records.js";
import { assertText, quoteText } from "../vectors/assert-text.js";
import { toClaimedBase } from "../vectors/claimed-base.js";
import type { IndexFacts } from "../vectors/index-facts.js";
import type { NewRecord } from "../vectors/vector-record.js";
import type { SpaceSpec, VectorStore } from "../vectors/vector-store.js";
import { createGroupCommit, type GroupCommit } from "./group-commit.js";
import { toKeptClaims } from "./kept-claims.js";
import { defaultRetrievalLimits, type RetrievalLimits } from "./limits.js";

/** A model that was embedded: what its representations are of, and how they came about. */
export interface Embedded {
  /** SHA-256 of the layer in lower-case hexadecimal. */
  readonly weightsHash: string;
  readonly embeddings: readonly {
    readonly expert: { readonly spaceId: string; readonly name: string };
    readonly representation: Float32Array;
    readonly tree?: { readonly tree: string; readonly isAccepted: boolean } | undefined;
  }[];
}

/** Puts models into a store as they are embedded. */
export interface Indexer {
  /**
   * What of a model's facts is kept, before any of its bytes is taken.
   *
   * @throws InvalidInputError `FIELD_INVALID`, LimitExceededError `LIMIT_EXCEEDED`.
   */
  check(facts: IndexFacts): IndexFacts;
  /**
   * Writes a model into the space of every expert that embedded it; gives its id once it is durable there. Of a model that is
   * there already, in any space, metadata that the facts do not name stays, as does a base by the user's word where they name
   * none, and when it was first written; the rest is replaced. An id with metadata of both sides beyond what is allowed is
   * refused: InvalidInputError `LIMIT_EXCEEDED`.
   */
  index(facts: IndexFacts, embedded: Embedded): Promise<string>;
}

/** A record on its way into its space. */
interface Entry {
  readonly space: SpaceSpec;
  /** Whether the space waits until it is switched to, if it is new. */
  readonly fill: boolean;
  readonly record: NewRecord;
}

/**
 * Creates an indexer. Models that come while others are written are written together, so that many small ones do not wait for
 * a commit each.
 */
export function createIndexer(
  store: VectorStore,
  limits: Pick<RetrievalLimits, "maxClaimBytes" | "maxMetadataBytes"> = defaultRetrievalLimits,
): Indexer {
  /** Per space that is there. */
  const commits = new Map<string, GroupCommit<Entry>>();

  const write = async (entry: Entry): Promise<void> => {
    const { spaceId } = entry.space;
    const commit = commits.get(spaceId) ?? createGroupCommit(upsert);
    commits.set(spaceId, commit);
    await commit.write(entry);
  };

  const upsert = async (entries: readonly Entry[]): Promise<void> => {
    const [first] = entries;
    if (first === undefined) return;
    // Each time, for another process may have dropped it; where it is there that costs a look.
    await store.ensureSpace(first.space, { fill: first.fill });
    const records = entries.map(({ record }) => record);
    await store.upsert(first.space.spaceId, records, { keepKnown: { maxMetadataBytes: limits.maxMetadataBytes } });
  };

  return {
    check: (facts) => {
      const { modelId, metadata = {}, claims = {}, fileHash = "", base = "" } = facts;
      assertId(modelId, "index.model_id");
      assertFields(metadata, `the metadata of ${quoteText(modelId)}`, limits.maxMetadataBytes);
      assertText(base, `the base of ${quoteText(modelId)}`, 1024);
      if (!/^(?:[0-9a-f]{64})?$/.test(fileHash)) {
        throw new InvalidInputError(
          "FIELD_INVALID",
          `index.file_hash is ${quoteText(fileHash)}; it has 64 digits of 0-9 and a-f, or is empty`,
        );
      }
      const kept = toKeptClaims(claims, limits.maxClaimBytes);
      return { ...facts, claims: kept, base: base === "" ? toClaimedBase(kept) : base };
    },
    index: async (facts, { weightsHash, embeddings }) => {
      const { modelId, metadata = {}, claims = {}, fileHash = "", base = "", fill = false } = facts;
      await Promise.all(
        embeddings.map(({ expert: { spaceId, name }, representation, tree }) => {
          const space: SpaceSpec = { spaceId, expertName: name, width: representation.length };
          const record: NewRecord = {
            id: modelId,
            vector: representation,
            weightsHash,
            fileHash,
            tree: tree?.isAccepted === true ? tree.tree : "",
            base,
            metadata,
            claims,
          };
          return write({ space, fill, record });
        }),
      );
      return modelId;
    },
  };
}
